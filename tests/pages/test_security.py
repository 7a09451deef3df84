import re
from datetime import timedelta

import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import select

from api.pages.recover import NOBODY
from coop import worker
from coop.clock import FixedClock
from coop.identity import accounts, sessions
from coop.mail import Letter
from coop.outbox import OutboxMessage
from coop.unit_of_work import Units
from tests import cooperative
from tests.conftest import Postbox
from tests.people import PASSWORD, register, signed_in, signed_in_client

NEW = "seven lanterns over the old harbour"
HTML = {"Accept": "text/html"}


@pytest.fixture
def engine_name() -> str:
    """Look at pages on SQLite; tests/identity runs what stands behind them on both engines."""
    return "sqlite"


async def last_token(units: Units) -> str:
    async with units.read() as work:
        payloads = await work.session.scalars(
            select(OutboxMessage.payload).where(OutboxMessage.kind == "Letter")
        )
        bodies = [msgspec.json.decode(payload, type=Letter).body for payload in payloads]
    return next(found[1] for body in bodies if (found := re.search(r"token=(\S+)", body)))


async def test_the_page_is_for_its_owner(client: httpx.AsyncClient) -> None:
    answer = await client.get("/account/security", headers=HTML)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Faccount%2Fsecurity"


async def test_where_a_passkey_cannot_be_the_page_says_so(client: httpx.AsyncClient, units: Units) -> None:
    await signed_in_client(client, units)

    assert "bare address" in (await client.get("/account/security")).text
    assert "<script" not in (await client.get("/account/security")).text


async def test_another_browser_is_signed_out_from_here(client: httpx.AsyncClient, units: Units) -> None:
    account = await register(units)
    async with units.open() as work:
        there, secret = await sessions.begin(work, account, amr=("pwd",), user_agent="A lost phone")
    await signed_in(client, units, account)
    assert "A lost phone" in (await client.get("/account/security")).text

    await client.post("/account/security/sessions/end", data={"session": str(there.id)})

    async with units.read() as work:
        assert await sessions.resume(work, secret) is None
    assert (await client.get("/account/security")).status_code == 200


async def test_everywhere_else_is_signed_out_at_once(client: httpx.AsyncClient, units: Units) -> None:
    account = await register(units)
    for _ in range(3):
        await signed_in(client, units, account)

    await client.post("/account/security/sessions/end-others")

    async with units.read() as work:
        assert len(await sessions.of_account(work, account.id)) == 1
    assert (await client.get("/account/security")).status_code == 200


async def test_nobody_signs_another_person_out(client: httpx.AsyncClient, units: Units) -> None:
    account = await register(units, "grace")
    async with units.open() as work:
        there, secret = await sessions.begin(work, account, amr=("pwd",), user_agent="")
    await signed_in_client(client, units)

    await client.post("/account/security/sessions/end", data={"session": str(there.id)})

    async with units.read() as work:
        assert await sessions.resume(work, secret) is not None


async def test_a_new_password_serves_at_once_and_the_old_one_no_more(
    client: httpx.AsyncClient, units: Units
) -> None:
    await signed_in_client(client, units)

    assert (await client.post("/account/security/password", data={"password": NEW})).status_code == 303

    assert (await client.get("/account/security")).status_code == 200
    client.cookies.clear()
    assert (await client.post("/sign-in", data={"name": "ada", "password": PASSWORD})).status_code == 400
    assert (await client.post("/sign-in", data={"name": "ada", "password": NEW})).status_code == 303


@pytest.mark.parametrize("password", ["short", "", "adaadaadaadaadaada"])
async def test_a_weak_new_password_is_refused_beside_its_field(
    client: httpx.AsyncClient, units: Units, password: str
) -> None:
    await signed_in_client(client, units)

    answer = await client.post("/account/security/password", data={"password": password})

    assert answer.status_code == 400
    assert 'id="password-error"' in answer.text


@pytest.mark.parametrize(
    ("path", "form", "back"),
    [
        ("/account/security/password", {"password": NEW}, "%2Faccount%2Fsecurity%2Fpassword"),
        ("/account/security/email", {"email": "a@example.org"}, "%2Faccount%2Fsecurity%2Femail"),
        ("/account/security/passkey", {}, "%2Faccount%2Fsecurity%2Fpasskey"),
        ("/account/security/passkey/remove", {"passkey": str(NOBODY)}, "%2Faccount%2Fsecurity"),
        ("/account/security/codes", {}, "%2Faccount%2Fsecurity"),
    ],
)
async def test_credentials_are_changed_only_by_who_has_just_signed_in(
    client: httpx.AsyncClient,
    units: Units,
    clock: FixedClock,
    path: str,
    form: dict[str, str],
    back: str,
) -> None:
    await signed_in_client(client, units)
    clock.advance(timedelta(hours=1))

    answer = await client.post(path, data=form, headers=HTML)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next={back}&reauthenticate=yes"


async def test_an_address_is_confirmed_by_the_button_behind_the_link(
    client: httpx.AsyncClient, units: Units
) -> None:
    account = await signed_in_client(client, units)
    await client.post("/account/security/email", data={"email": "ada@example.org"})
    token = await last_token(units)

    assert (await client.get("/verify-email", params={"token": token})).status_code == 200
    assert (await client.get("/verify-email", params={"token": token})).status_code == 200
    assert (await client.post("/verify-email", data={"token": token})).status_code == 200

    async with units.read() as work:
        assert (await accounts.get(work, account.id)).email_verified_at is not None
    again = await client.post("/verify-email", data={"token": token})
    assert again.status_code == 400
    assert again.json()["code"] == "dead_link"


async def test_joining_with_an_address_sends_a_link(client: httpx.AsyncClient, units: Units) -> None:
    await client.post("/sign-up", data={"handle": "ada", "password": PASSWORD, "email": "ada@example.org"})

    assert (await client.get("/verify-email", params={"token": await last_token(units)})).status_code == 200


async def test_recovery_codes_are_shown_once_and_get_back_in(client: httpx.AsyncClient, units: Units) -> None:
    await signed_in_client(client, units)
    shown = await client.post("/account/security/codes")
    codes = re.findall(r"<code>([a-z0-9-]+)</code>", shown.text)
    assert len(codes) == 10
    client.cookies.clear()

    form = {"name": "ada", "code": codes[3], "password": NEW}
    assert (await client.post("/recover/code", data=form)).status_code == 303

    page = await client.get("/account/security")
    assert "9 codes are left" in page.text
    assert not any(code in page.text for code in codes)
    client.cookies.clear()
    assert (await client.post("/recover/code", data=form)).status_code == 400


async def test_a_wrong_code_says_the_same_whether_or_not_there_is_such_an_account(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units, "grace")
    form = {"code": "abcd-abcd-abcd-abcd", "password": NEW}

    known = await client.post("/recover/code", data={"name": "grace", **form})
    unknown = await client.post("/recover/code", data={"name": "nobod", **form})

    assert known.status_code == unknown.status_code == 400
    assert known.text.replace("grace", "-") == unknown.text.replace("nobod", "-")


async def test_codes_cannot_be_guessed_for_long(client: httpx.AsyncClient) -> None:
    form = {"name": "ada", "code": "abcd-abcd-abcd-abcd", "password": NEW}

    statuses = [(await client.post("/recover/code", data=form)).status_code for _ in range(11)]

    assert statuses == [400] * 10 + [429]


async def test_asking_for_a_way_back_in_says_the_same_to_everybody(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units, "grace", email="grace@example.org")

    answers = [
        await client.post("/recover", data={"name": name})
        for name in ("grace", "grace@example.org", "nobody_", "nobody@example.org")
    ]

    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}


async def test_a_link_by_mail_sets_a_new_password_and_signs_in(
    app: Litestar, client: httpx.AsyncClient, units: Units, postbox: Postbox
) -> None:
    await cooperative.found(units)
    await register(units, email="ada@example.org")
    await client.post("/recover", data={"name": "ada@example.org"})
    await worker.assemble(units, app.state.gateway, postbox).drain()
    (letter,) = [letter for letter in postbox.letters if letter.to == "ada@example.org"]
    token = letter.body.partition("token=")[2].split()[0]

    assert (await client.get("/recover/password", params={"token": token})).status_code == 200
    weak = await client.post("/recover/password", data={"token": token, "password": "short"})
    assert weak.status_code == 400
    done = await client.post("/recover/password", data={"token": token, "password": NEW})

    assert done.status_code == 303
    assert (await client.get("/account/security")).status_code == 200
    assert (await client.get("/recover/password", params={"token": token})).status_code == 400


async def test_the_page_warns_who_could_be_locked_out_for_good(
    client: httpx.AsyncClient, units: Units
) -> None:
    await signed_in_client(client, units)
    assert "no way back in" in (await client.get("/account/security")).text

    await client.post("/account/security/codes")

    assert "no way back in" not in (await client.get("/account/security")).text


async def test_a_browsers_name_is_text(client: httpx.AsyncClient, units: Units) -> None:
    account = await register(units)
    async with units.open() as work:
        await sessions.begin(work, account, amr=("pwd",), user_agent="<script>alert(1)</script>")
    await signed_in(client, units, account)

    assert "<script>alert" not in (await client.get("/account/security")).text
