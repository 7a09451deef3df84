"""The command line: what each command says, and how the processes begin and end that some of them are."""

import contextlib
import json
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from uuid import uuid4

import httpx
import jsonschema
import pytest

from tests.demo import ROOT, Demo, coop, copy, eventually, free_ports, process

SCHEMA = ROOT / "docs" / "schemas" / "books-check.schema.json"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Found a cooperative that no test changes."""
    data = tmp_path_factory.mktemp("cli") / "members"
    made = coop("init", "--data", str(data), "--issuer", "https://members.example")
    assert made.returncode == 0, made.stderr
    return data


@pytest.fixture
def mine(founded: Path, tmp_path: Path) -> str:
    """Give a founded cooperative of the test's own."""
    return str(copy(founded, tmp_path / "members"))


def test_help_is_quick_and_names_every_command() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    told = process("--help")

    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The time that it works, since others may keep the machine busy. 0.4 s is what is promised.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.4
    assert told.returncode == 0
    assert all(f"\n  {name} " in told.stdout for name in ("init", "serve", "demo", "doctor", "books"))


def test_a_new_cooperative_keeps_its_secrets_to_itself(founded: Path) -> None:
    settings = founded / "coop.toml"

    assert settings.stat().st_mode & 0o077 == 0
    assert founded.stat().st_mode & 0o077 == 0


def test_nobody_founds_a_cooperative_twice(founded: Path) -> None:
    before = (founded / "coop.toml").read_bytes()

    again = coop("init", "--data", str(founded), "--issuer", "https://other.example")

    assert (again.returncode, again.stdout) == (1, "")
    assert "founded already" in again.stderr
    assert (founded / "coop.toml").read_bytes() == before


def test_the_doctor_says_what_a_new_cooperative_lacks(founded: Path) -> None:
    examined = coop("doctor", "--json", "--data", str(founded))

    found = {finding["what"]: finding["state"] for finding in json.loads(examined.stdout)}
    assert examined.returncode == 1
    assert found["database"] == found["founding policies"] == found["secret_key"] == "good"
    assert found["stripe"] == found["mail"] == "bad"


def test_migrating_twice_is_safe(mine: str) -> None:
    first, second = coop("migrate", "--data", mine), coop("migrate", "--data", mine)

    assert (first.returncode, second.returncode) == (0, 0)
    assert "up to date" in second.stdout


def test_the_database_of_another_version_is_refused(mine: str) -> None:
    (Path(mine) / "coop.sqlite").write_bytes(b"")

    refused = coop("books", "check", "--data", mine)

    assert refused.returncode == 1
    assert "coop migrate" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_empty_books_balance(founded: Path) -> None:
    checked = coop("books", "check", "--json", "--data", str(founded))

    report = json.loads(checked.stdout)
    assert report["ok"] is True
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_damaged_books_are_named_with_where_and_what_to_do(mine: str) -> None:
    with contextlib.closing(sqlite3.connect(Path(mine) / "coop.sqlite")) as database, database:
        database.execute("UPDATE ledger_balances SET amount = 500 WHERE account = 'Liabilities:Pool'")

    checked = coop("books", "check", "--data", mine)

    assert checked.returncode == 1
    told = checked.stdout.partition("BAD balance_rows: 1 found\n")[2].splitlines()
    assert told[0] == "    the balance row of Liabilities:Pool"
    assert told[1] == "      expected: 0.00, the sum of its postings"
    assert told[2] == "      found:    5.00"
    assert told[3].startswith("      to do:    If all other rules hold, the row is wrong")


def test_vat_is_shown_and_only_a_treasurer_records_what_is_owed(mine: str) -> None:
    shown = coop("books", "vat", "--json", "--data", mine)
    asked = ["--period", "2026", "--amount", "1.00", "--reference", "TR 1", "--reason", "Paid today"]
    stranger = coop("books", "vat-paid", *asked, "--by", "nobody", "--data", mine)
    undone = coop("books", "vat-undo", str(uuid4()), "--by", "nobody", "--reason", "Oh", "--data", mine)

    assert json.loads(shown.stdout) == {"owed": 0, "months": [], "payments": []}
    assert coop("books", "vat", "--data", mine).stdout == "Owed now: 0.00 USD\n"
    for refused in (stranger, undone):
        assert refused.returncode == 1
        assert "Nobody has that handle" in refused.stderr


def test_an_unknown_setting_is_named_with_the_nearest(mine: str) -> None:
    with (Path(mine) / "coop.toml").open("a", encoding="utf-8") as settings:
        settings.write('curency = "eur"\n')

    refused = coop("books", "check", "--data", mine)

    assert refused.returncode == 1
    assert "curency" in refused.stderr
    assert "currency" in refused.stderr.replace("curency", "")
    assert "Traceback" not in refused.stderr


def test_a_folder_without_a_cooperative_is_refused_in_one_line(tmp_path: Path) -> None:
    refused = process("books", "check", "--data", str(tmp_path))

    assert refused.returncode == 1
    assert refused.stderr.startswith("coop: ")
    assert refused.stderr.count("\n") == 1


def test_a_network_is_told_what_its_software_needs(mine: str) -> None:
    added = coop("network", "add", "mastodon", "https://social.example", "--data", mine)

    assert added.returncode == 0, added.stderr
    assert "OIDC_ISSUER=https://members.example" in added.stdout
    assert "version 1 signed" in added.stdout
    assert "https://social.example/auth/auth/openid_connect/callback" in added.stdout
    assert "OIDC_CLIENT_SECRET=coop_cs_" in added.stdout
    listed = json.loads(coop("network", "list", "--json", "--data", mine).stdout)
    assert [network["origin"] for network in listed] == ["https://social.example"]


def test_a_network_registers_its_own_software_and_webhook_for_a_script(mine: str) -> None:
    added = coop(
        *("network", "add", "own", "https://meadow.example", "--name", "Meadow"),
        *("--webhook", "https://meadow.example/hooks", "--json", "--data", mine),
    )

    assert added.returncode == 0, added.stderr
    told = json.loads(added.stdout)
    assert told["redirect_uri"] == "https://meadow.example/callback"
    assert told["webhook_secret"].startswith("whsec_")


def test_several_processes_serve_one_port_and_end_together(mine: str) -> None:
    port = free_ports()
    command = [
        sys.executable,
        "-m",
        "coop.cli",
        "serve",
        "--data",
        mine,
        "--port",
        str(port),
        "--processes",
        "2",
    ]
    serving = subprocess.Popen(command, cwd=ROOT)
    try:
        eventually("it answers", lambda: healthy(port))
        # One may answer before the other has become what it will be.
        eventually("there are two", lambda: len(children(serving.pid)) == 2)
        workers = children(serving.pid)
        os.kill(workers[0], signal.SIGKILL)
        eventually(
            "another takes the place of one that died", lambda: workers[0] not in children(serving.pid)
        )
        eventually("there are two again", lambda: len(children(serving.pid)) == 2)
        assert healthy(port)
    finally:
        serving.terminate()
        serving.wait(30)

    assert not healthy(port)


def healthy(port: int) -> bool:
    """Tell whether somebody answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


def children(pid: int) -> list[int]:
    """Return the processes that serve, and not the one that counts what they share."""
    started = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [int(child) for child in started if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_an_unknown_kind_of_network_is_told_which_there_are(mine: str) -> None:
    refused = coop("network", "add", "mastadon", "https://social.example", "--data", mine)

    assert refused.returncode == 1
    assert "Did you mean mastodon?" in refused.stderr
    assert refused.stderr.count("\n") == 1
    added = coop(
        "network", "add", "pixelfed", "https://pix.example", "--callback", "/oidc/back", "--data", mine
    )
    assert "https://pix.example/oidc/back" in added.stdout


def test_a_network_is_shown_again_without_its_secret(mine: str) -> None:
    added = json.loads(
        coop("network", "add", "synapse", "https://m.example", "--json", "--data", mine).stdout
    )
    slug = added["network"]

    shown = coop("network", "show", slug, "--data", mine)
    rotated = json.loads(coop("network", "rotate-secret", slug, "--json", "--data", mine).stdout)

    assert added["client_secret"] in added["configuration"]
    assert added["client_secret"] not in shown.stdout
    assert added["client_id"] in shown.stdout
    assert rotated["client_secret"] != added["client_secret"]


def test_a_network_is_suspended_with_a_reason_only(mine: str) -> None:
    slug = json.loads(
        coop("network", "add", "own", "https://meadow.example", "--json", "--data", mine).stdout
    )["network"]

    without = coop("network", "suspend", slug, "--data", mine)
    done = coop("network", "suspend", slug, "--reason", "Sold addresses", "--data", mine)
    closed = coop("network", "gate", slug, "members", "--reason", "Members only", "--data", mine)
    signed = coop("network", "sign", slug, "--data", mine)

    assert without.returncode == 2
    assert (done.returncode, closed.returncode, signed.returncode) == (0, 0, 0)
    assert json.loads(coop("network", "list", "--json", "--data", mine).stdout) == []
    assert json.loads(coop("network", "show", slug, "--json", "--data", mine).stdout)["state"] == "suspended"
    assert coop("network", "reinstate", slug, "--reason", "Mended", "--data", mine).returncode == 0


def test_the_doctor_looks_at_each_network(mine: str) -> None:
    coop("network", "add", "own", "https://meadow.example", "--data", mine)

    examined = coop("doctor", "--offline", "--json", "--data", mine)

    found = {finding["what"]: finding["state"] for finding in json.loads(examined.stdout)}
    assert found["network meadow-example: covenant"] == "good"
    assert found["network meadow-example: sign-ins"] == "warning"


def test_a_recipe_can_be_read_before_there_is_a_cooperative() -> None:
    kinds = coop("network", "recipe")
    told = coop("network", "recipe", "nextcloud")

    assert "mastodon" in kinds.stdout
    assert "occ user_oidc:provider" in told.stdout


def test_the_clock_of_a_real_cooperative_stands_firm(founded: Path) -> None:
    refused = coop("clock", "advance", "1y", "--data", str(founded))

    assert refused.returncode == 1
    assert "demo" in refused.stderr


def test_what_is_held_about_a_member_is_handed_over_and_they_can_see_that_it_was(
    demo: Demo, tmp_path: Path
) -> None:
    out = tmp_path / "farah.zip"

    done = demo.coop("member", "export", "farah", "--out", str(out), "--reason", "She asked by letter")
    again = demo.coop("member", "export", "farah", "--out", str(out), "--reason", "She asked by letter")

    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with zipfile.ZipFile(out) as archive:
        told = json.loads(archive.read("coop.json"))
    assert told["handle"] == "farah"
    assert told["held"]["acts_about_you"][-1]["reason"] == "She asked by letter"
    assert again.returncode != 0
    assert "exists already" in again.stderr


def test_a_member_is_shown_to_a_script(demo: Demo) -> None:
    shown = demo.coop("member", "show", "farah", "--json")

    assert json.loads(shown.stdout)["standing"] == "active"


def test_nobody_is_shown_for_an_unknown_handle(demo: Demo) -> None:
    refused = demo.coop("member", "show", "nobody_at_all")

    assert refused.returncode == 1
    assert "nobody_at_all" in refused.stderr


def test_the_demo_s_books_hold_and_beancount_agrees(demo: Demo, tmp_path: Path) -> None:
    report = demo.books()

    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert report["ok"] is True
    assert report["entries"] > 200
    sums = report["sums"]
    where = sum(minor for name, minor in sums.items() if name.startswith(("Assets:", "Expenses:")))
    assert 2 * where == sum(sums.values())
    file = tmp_path / "books.beancount"
    exported = demo.coop("books", "export", "--output", str(file))
    assert exported.returncode == 0, exported.stderr
    # The console script of beancount, without knowing where the virtual environment keeps it.
    checker = Path(sys.executable).with_name("bean-check")
    checked = subprocess.run([checker, file], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_demo_will_not_remove_what_is_no_demo(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("dear", encoding="utf-8")

    refused = coop("demo", "--fresh", "--data", str(tmp_path / "letters"))

    assert refused.returncode == 1
    assert (tmp_path / "letters" / "love.txt").exists()


def test_keys_are_listed_and_rotated(mine: str) -> None:
    rotated = coop("keys", "rotate", "--algorithm", "ES256", "--json", "--data", mine)
    replaced = coop("keys", "rotate", "--now", "--algorithm", "EdDSA", "--json", "--data", mine)
    listed = coop("keys", "list", "--json", "--data", mine)

    assert (rotated.returncode, replaced.returncode, listed.returncode) == (0, 0, 0), rotated.stderr
    found = {key["kid"]: (key["algorithm"], key["state"]) for key in json.loads(listed.stdout)}
    assert found[json.loads(rotated.stdout)[0]["kid"]] == ("ES256", "next")
    assert found[json.loads(replaced.stdout)[0]["kid"]] == ("EdDSA", "active")


@pytest.mark.parametrize(
    "url", ["", "meadow.example", "https://[::1", "https://münchen.example", "https://a@meadow.example"]
)
def test_a_network_is_registered_at_an_address_only(mine: str, url: str) -> None:
    refused = coop("network", "add", "own", url, "--callback", "/callback", "--data", mine)

    assert refused.returncode == 1
    assert refused.stderr == "coop: Write the network's address as an origin, like https://social.example.\n"
