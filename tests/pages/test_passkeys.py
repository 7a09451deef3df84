import json
from datetime import timedelta

import httpx
import msgspec
import pytest
from sqlalchemy import select

from coop.clock import FixedClock
from coop.identity import accounts, passkeys
from coop.identity.passkeys import Passkey
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.authenticator import PRESENT, Authenticator
from tests.people import register, signed_in_client


@pytest.fixture
def engine_name() -> str:
    """Look at pages on SQLite; tests/identity runs what stands behind them on both engines."""
    return "sqlite"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, issuer="http://localhost:8000")


async def join(client: httpx.AsyncClient, device: Authenticator, handle: str = "ada") -> httpx.Response:
    options = await client.post("/sign-up/passkey", data={"handle": handle, "next": "/books"})
    assert options.status_code == 200
    return await client.post(
        "/sign-up", data={"handle": handle, "credential": device.create(options.text), "next": "/books"}
    )


async def sign_in(client: httpx.AsyncClient, device: Authenticator) -> httpx.Response:
    options = await client.post("/sign-in/passkey")
    device.counter += 1
    return await client.post("/sign-in", data={"credential": device.get(options.text), "next": "/books"})


async def test_joining_takes_a_handle_and_a_touch(client: httpx.AsyncClient, units: Units) -> None:
    answer = await join(client, Authenticator())

    assert answer.status_code == 303
    assert answer.headers["location"] == "/join?next=%2Fbooks"
    async with units.read() as work:
        account = await accounts.by_handle(work, "ada")
        assert account is not None
        assert account.password_digest is None
        assert len(await passkeys.of_account(work, account.id)) == 1


async def test_a_passkey_signs_in_without_a_name(client: httpx.AsyncClient) -> None:
    device = Authenticator()
    await join(client, device)
    await client.post("/sign-out")

    answer = await sign_in(client, device)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/books"
    assert (await client.get("/account/security")).status_code == 200


async def test_a_passkey_never_adopts_a_planted_session(client: httpx.AsyncClient) -> None:
    device = Authenticator()
    await join(client, device)
    client.cookies.clear()
    client.cookies.set("session", "planted")

    answer = await sign_in(client, device)

    assert "planted" not in str(answer.headers.get_list("set-cookie"))


async def test_a_passkey_signs_in_while_guesses_at_the_password_are_stopped(
    client: httpx.AsyncClient,
) -> None:
    device = Authenticator()
    await join(client, device)
    client.cookies.clear()
    for _ in range(12):
        guess = await client.post("/sign-in", data={"name": "ada", "password": "guess"})
    assert guess.status_code == 429

    assert (await sign_in(client, device)).status_code == 303


@pytest.mark.parametrize("wrong", [{"origin": "https://evil.example"}, {"flags": PRESENT}], ids=str)
async def test_a_refused_passkey_is_said_on_the_page(
    client: httpx.AsyncClient, units: Units, wrong: dict[str, str | int]
) -> None:
    answer = await join(client, Authenticator(**wrong))

    assert answer.status_code == 400
    assert "error-summary" in answer.text
    async with units.read() as work:
        assert await accounts.by_handle(work, "ada") is None


async def test_a_credential_serves_once(client: httpx.AsyncClient) -> None:
    device = Authenticator(counter=0)
    await join(client, device)
    await client.post("/sign-out")
    options = await client.post("/sign-in/passkey")
    response = device.get(options.text)

    assert (await client.post("/sign-in", data={"credential": response})).status_code == 303
    client.cookies.clear()
    assert (await client.post("/sign-in", data={"credential": response})).status_code == 400


async def test_a_taken_handle_is_said_before_a_passkey_is_made(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units, "ada")

    answer = await client.post("/sign-up/passkey", data={"handle": "ada"})

    assert answer.status_code == 400
    assert answer.json()["code"] == "handle_taken"


async def test_a_passkey_is_added_named_and_removed(client: httpx.AsyncClient, units: Units) -> None:
    await signed_in_client(client, units)
    options = await client.post("/account/security/passkey/options", data={"name": "phone"})
    response = Authenticator().create(options.text)

    added = await client.post("/account/security/passkey", data={"name": "phone", "credential": response})
    assert added.status_code == 303
    assert "phone" in (await client.get("/account/security")).text
    async with units.read() as work:
        key_id = await work.session.scalar(select(Passkey.id))
    await client.post("/account/security/passkey/remove", data={"passkey": str(key_id)})

    async with units.read() as work:
        assert await work.session.scalar(select(Passkey.id)) is None


async def test_the_last_way_in_is_not_removed(client: httpx.AsyncClient, units: Units) -> None:
    await join(client, Authenticator())
    async with units.read() as work:
        key_id = await work.session.scalar(select(Passkey.id))

    answer = await client.post("/account/security/passkey/remove", data={"passkey": str(key_id)})

    assert answer.status_code == 409
    assert answer.json()["code"] == "last_way_in"


async def test_a_known_device_is_not_enrolled_twice(client: httpx.AsyncClient, units: Units) -> None:
    await join(client, Authenticator())

    options = (await client.post("/account/security/passkey/options")).json()

    assert len(options["excludeCredentials"]) == 1


async def test_adding_a_passkey_needs_a_recent_sign_in(
    client: httpx.AsyncClient, units: Units, clock: FixedClock
) -> None:
    await signed_in_client(client, units)
    clock.advance(timedelta(hours=1))

    answer = await client.get("/account/security/passkey", headers={"Accept": "text/html"})

    assert answer.status_code == 303
    assert answer.headers["location"] == ("/sign-in?next=%2Faccount%2Fsecurity%2Fpasskey&reauthenticate=yes")


async def test_nonsense_is_refused_on_the_page(client: httpx.AsyncClient) -> None:
    for credential in ("{}", "[" * 5000, "\0", json.dumps({"response": {"clientDataJSON": "AA"}})):
        answer = await client.post("/sign-in", data={"credential": credential})
        assert answer.status_code == 400


async def test_the_script_is_ours_and_the_button_waits_for_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sign-in")

    assert '<script src="/static/passkeys.js' in answer.text
    assert "data-passkey hidden" in answer.text
