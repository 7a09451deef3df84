"""Moving in as an administrator does it: the commands of docs/networks.md, in their order."""

import csv
import json
from pathlib import Path

from tests.demo import coop


def test_the_documented_commands_lead_through_the_import(tmp_path: Path) -> None:
    data, listing, out = tmp_path / "members", tmp_path / "accounts.csv", tmp_path / "links.csv"
    listing.write_bytes(b"handle,email,external_id\r\nAnna.Old,anna@example.org,17\r\nben,,18\r\na/b,,19\r\n")
    here = ("--data", str(data))
    assert coop("init", *here, "--issuer", "https://members.example").returncode == 0
    made = coop("network", "add", "mastodon", "https://social.example", "--name", "Social", *here)
    assert made.returncode == 0, made.stderr

    rehearsed = coop("network", "import", "social", str(listing), "--rehearse", *here)
    assert "2  new" in rehearsed.stdout
    assert "line 4: 'a/b'" in rehearsed.stdout
    assert "Nothing was changed" in rehearsed.stdout
    assert "anna@example.org" not in rehearsed.stdout
    imported = json.loads(coop("network", "import", "social", str(listing), "--json", *here).stdout)
    assert (imported["rehearsed"], imported["outcomes"]["new"]) == (False, 2)
    again = json.loads(coop("network", "import", "social", str(listing), "--dry-run", "--json", *here).stdout)
    assert (again["rehearsed"], again["outcomes"]["unchanged"]) == (True, 2)

    links = coop("network", "claim-links", "social", "--csv", str(out), *here)
    assert links.stdout == f"2 links are in {out}.\n"
    assert out.stat().st_mode & 0o077 == 0
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert [row["handle"] for row in rows] == ["Anna.Old", "ben"]
    assert all(row["url"].startswith("https://members.example/claim/") for row in rows)
    refused = coop("network", "claim-links", "social", "--csv", str(out), *here)
    assert (refused.returncode, "exists already" in refused.stderr) == (1, True)
    one = coop("network", "claim-links", "social", "--handle", "BEN", *here)
    assert one.stdout.startswith("ben  https://members.example/claim/")
    nobody = coop("network", "claim-links", "social", "--handle", "nobody", *here)
    assert (nobody.returncode, "no unclaimed account" in nobody.stderr) == (1, True)

    shown = coop("network", "accounts", "social", *here)
    assert "imported 2, claimed 0, open 1 by e-mail and 1 by link only, expired 0" in shown.stdout
    assert "Keep the network's own login open" in shown.stdout
    counted = json.loads(coop("network", "accounts", "social", "--json", *here).stdout)
    assert counted["open"] == {"by_email": 1, "by_link": 1}
    assert [one["way"] for one in counted["unresolved"]] == ["email", "link"]


def test_a_file_that_is_not_understood_is_one_line_on_standard_error(tmp_path: Path) -> None:
    listing = tmp_path / "accounts.csv"
    listing.write_bytes(b"handle\nzo\xeb\n")
    data = ("--data", str(tmp_path / "members"))
    assert coop("init", *data, "--issuer", "https://members.example").returncode == 0

    refused = coop("network", "import", "social", str(listing), *data)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "coop: Line 2 is not UTF-8; save the file as CSV in UTF-8.\n"
