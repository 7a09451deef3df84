"""How surely somebody is who they are: OpenID Connect Core, 3.1.2.1 (acr_values, max_age) and 5.5.1.1 (acr)."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from coop.authorization import clients
from coop.clock import FixedClock
from coop.identity import sessions
from coop.identity.accounts import Account
from coop.identity.passkeys import Passkey
from coop.unit_of_work import Units
from tests import people
from tests.protocol.reading import read
from tests.protocol.relying_party import RelyingParty, answer_of

PASSKEY = ("hwk", "user")
STRONG = json.dumps({"id_token": {"acr": {"essential": True, "values": ["aal2"]}}})
WEAK = json.dumps({"id_token": {"acr": {"essential": True, "value": "aal1"}}})
VOLUNTARY = json.dumps({"id_token": {"acr": {"values": ["aal2"]}}})
IMPOSSIBLE = json.dumps({"id_token": {"acr": {"essential": True, "values": ["aal9"]}}})


async def add_passkey(units: Units, account: Account) -> None:
    """Give an account a passkey, without the ceremony."""
    async with units.open() as work:
        work.session.add(
            Passkey(
                account_id=account.id,
                credential_id=account.id.bytes,
                public_key=b"",
                sign_count=0,
                synced=False,
                transports=[],
                name="a key",
                created_at=work.wall,
            )
        )


async def sign_in_again(
    browser: httpx.AsyncClient, units: Units, account: Account, amr: tuple[str, ...] = ("pwd",)
) -> None:
    """Sign in anew in the same browser, which keeps its other cookies."""
    async with units.open() as work:
        _, secret = await sessions.begin(work, account, amr=amr, user_agent="a test")
    browser.cookies.delete("session")
    browser.cookies.set("session", secret)


def way_back(answer: httpx.Response) -> str:
    """Return where a browser comes back to that is sent to sign in again."""
    parts = urlsplit(answer.headers["location"])
    assert parts.path == "/sign-in", answer.headers["location"]
    assert "reauthenticate=1" in parts.query
    return parse_qs(parts.query)["next"][0]


@pytest.fixture
async def keyed(party: RelyingParty, ada: Account, units: Units) -> Account:
    """Give Ada a passkey; she signed in with her password, and has agreed already."""
    await add_passkey(units, ada)
    await party.code()
    return ada


@pytest.mark.parametrize("wish", [{"acr_values": "aal2"}, {"claims": VOLUNTARY}, {"claims": STRONG}])
async def test_who_can_prove_more_is_asked_to(
    party: RelyingParty, keyed: Account, units: Units, wish: dict[str, str]
) -> None:
    back = way_back(await party.authorize(**wish))

    await sign_in_again(party.http, units, keyed, PASSKEY)

    code = answer_of(await party.http.get(back))["code"]
    tokens = (await party.redeem(code)).json()
    assert (await read(party.wire, tokens["id_token"]))[1]["acr"] == "aal2"


@pytest.mark.parametrize("wish", [{"acr_values": "aal2"}, {"claims": VOLUNTARY}])
async def test_a_wish_is_put_once(
    party: RelyingParty, keyed: Account, units: Units, wish: dict[str, str]
) -> None:
    back = way_back(await party.authorize(**wish))

    await sign_in_again(party.http, units, keyed)

    code = answer_of(await party.http.get(back))["code"]
    tokens = (await party.redeem(code)).json()
    assert (await read(party.wire, tokens["id_token"]))[1]["acr"] == "aal1"


async def test_a_condition_that_is_not_met_is_told(party: RelyingParty, keyed: Account, units: Units) -> None:
    back = way_back(await party.authorize(claims=STRONG))

    await sign_in_again(party.http, units, keyed)

    assert answer_of(await party.http.get(back))["error"] == "unmet_authentication_requirements"


@pytest.mark.usefixtures("ada")
async def test_who_cannot_prove_more_is_not_asked(party: RelyingParty) -> None:
    await party.code()

    assert "code" in answer_of(await party.authorize(acr_values="aal2"))
    assert answer_of(await party.authorize(claims=STRONG))["error"] == "unmet_authentication_requirements"


@pytest.mark.usefixtures("keyed")
async def test_in_silence_a_wish_is_passed_over_and_a_condition_is_not(party: RelyingParty) -> None:
    assert "code" in answer_of(await party.authorize(acr_values="aal2", prompt="none"))
    assert answer_of(await party.authorize(claims=STRONG, prompt="none"))["error"] == "login_required"


@pytest.mark.usefixtures("keyed")
async def test_what_nobody_can_prove_is_a_wish_or_an_error(party: RelyingParty) -> None:
    assert "code" in answer_of(await party.authorize(acr_values="urn:example:gold aal1"))
    assert "code" in answer_of(await party.authorize(acr_values="urn:example:gold"))
    told = answer_of(await party.authorize(claims=IMPOSSIBLE))
    assert told["error"] == "unmet_authentication_requirements"
    assert told["state"] == "a state"


async def test_a_stranger_signs_in_before_a_condition_is_judged(party: RelyingParty) -> None:
    answer = await party.authorize(claims=STRONG)

    assert answer.headers["location"].startswith("/sign-in?next=")


async def test_who_proved_more_has_proved_less(party: RelyingParty, units: Units) -> None:
    await people.signed_in(party.http, units, await people.register(units), amr=PASSKEY)

    tokens = await party.tokens(claims=WEAK)

    assert (await read(party.wire, tokens["id_token"]))[1]["acr"] == "aal1"


async def test_what_a_client_prefers_need_not_be_said_each_time(
    party: RelyingParty, keyed: Account, units: Units
) -> None:
    del keyed
    async with units.open() as work:
        client = await clients.find(work, party.client_id)
        assert client is not None
        client.details = {"default_acr_values": ["aal2"]}

    assert way_back(await party.authorize())
    assert "code" in answer_of(await party.authorize(acr_values="aal1"))


async def test_a_default_age_counts_where_none_is_said(
    party: RelyingParty, units: Units, ada: Account, clock: FixedClock
) -> None:
    await party.code()
    async with units.open() as work:
        client = await clients.find(work, party.client_id)
        assert client is not None
        client.default_max_age = 60
    clock.advance(timedelta(minutes=2))

    assert "code" in answer_of(await party.authorize(max_age="600"))
    back = way_back(await party.authorize())
    await sign_in_again(party.http, units, ada)

    assert "code" in answer_of(await party.http.get(back))


async def test_an_age_of_nothing_is_met_by_signing_in_now(
    party: RelyingParty, units: Units, ada: Account
) -> None:
    await party.code()
    assert answer_of(await party.authorize(max_age="0", prompt="none"))["error"] == "login_required"

    back = way_back(await party.authorize(max_age="0"))
    assert way_back(await party.http.get(back))
    await sign_in_again(party.http, units, ada)

    assert "code" in answer_of(await party.http.get(back))


@pytest.mark.usefixtures("ada")
async def test_the_moment_of_signing_in_is_always_told(party: RelyingParty, clock: FixedClock) -> None:
    tokens = await party.tokens()
    clock.advance(timedelta(minutes=5))

    refreshed = (await party.refresh(tokens["refresh_token"])).json()

    first, second = [(await read(party.wire, t["id_token"]))[1]["auth_time"] for t in (tokens, refreshed)]
    assert first == second
