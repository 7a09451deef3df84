"""Who is asked what, and when: OpenID Connect Core, 3.1.2; Initiating User Registration 1.0; identity.md, refusal 11."""

import base64
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from coop import policies
from coop.clock import FixedClock
from coop.identity import sessions
from coop.identity.accounts import Account
from coop.membership import terms
from coop.policies import Dues
from coop.unit_of_work import Units
from tests import people
from tests.protocol.relying_party import RelyingParty, answer_of


def detour(answer: httpx.Response) -> tuple[str, str]:
    """Return where the browser is sent first, and where it is to come back to."""
    assert answer.status_code == 303, answer.text
    parts = urlsplit(answer.headers["location"])
    return parts.path, parse_qs(parts.query)["next"][0]


async def sign_in_again(client: httpx.AsyncClient, units: Units, account: Account) -> None:
    """Sign in anew in the same browser, which keeps its other cookies."""
    async with units.open() as work:
        _, secret = await sessions.begin(work, account, amr=("pwd",), user_agent="a test")
    client.cookies.delete("session")
    client.cookies.set("session", secret)


async def test_a_stranger_signs_in_and_comes_back(party: RelyingParty, units: Units) -> None:
    path, back = detour(await party.authorize())
    assert path == "/sign-in"

    await people.signed_in_client(party.http, units)
    page = await party.http.get(back)

    assert page.status_code == 200
    assert "code" in answer_of(await party.agree(page))


async def test_a_login_hint_is_typed_in_already(party: RelyingParty) -> None:
    answer = await party.authorize(login_hint="ada@example.org")

    page = await party.http.get(answer.headers["location"])

    assert 'value="ada@example.org"' in page.text


async def test_pages_speak_the_language_that_the_network_asks_for(party: RelyingParty) -> None:
    answer = await party.authorize(ui_locales="de pl-PL en")

    page = await party.http.get(answer.headers["location"])

    assert page.headers["content-language"] == "pl"


@pytest.mark.usefixtures("ada")
async def test_consent_speaks_the_language_that_the_network_asks_for(party: RelyingParty) -> None:
    page = await party.authorize(ui_locales="fr")

    assert (page.status_code, page.headers["content-language"]) == (200, "fr")


async def test_prompt_none_without_a_session_is_login_required(party: RelyingParty) -> None:
    assert answer_of(await party.authorize(prompt="none"))["error"] == "login_required"


@pytest.mark.usefixtures("ada")
async def test_prompt_none_without_consent_is_consent_required(party: RelyingParty) -> None:
    assert answer_of(await party.authorize(prompt="none"))["error"] == "consent_required"


@pytest.mark.usefixtures("ada")
async def test_prompt_none_passes_in_silence_after_consent(party: RelyingParty) -> None:
    await party.code()

    assert "code" in answer_of(await party.authorize(prompt="none"))


async def test_prompt_login_asks_even_who_is_signed_in(
    party: RelyingParty, units: Units, ada: Account
) -> None:
    await party.code()
    answer = await party.authorize(prompt="login")
    path, back = detour(answer)
    assert path == "/sign-in"
    assert "reauthenticate=1" in answer.headers["location"]

    # Coming back without having signed in again changes nothing.
    assert detour(await party.http.get(back))[0] == "/sign-in"
    await sign_in_again(party.http, units, ada)

    assert "code" in answer_of(await party.http.get(back))


async def test_a_finished_interaction_cannot_be_finished_again(
    party: RelyingParty, units: Units, ada: Account
) -> None:
    await party.code()
    _, back = detour(await party.authorize(prompt="login"))
    await sign_in_again(party.http, units, ada)
    assert "code" in answer_of(await party.http.get(back))

    assert detour(await party.http.get(back))[0] == "/sign-in"


async def test_an_interaction_cannot_be_resumed_in_another_browser(
    party: RelyingParty, units: Units, ada: Account, wire: httpx.AsyncClient
) -> None:
    await party.code()
    _, back = detour(await party.authorize(prompt="login"))

    elsewhere = await people.signed_in(wire, units, ada)

    assert detour(await elsewhere.get(back))[0] == "/sign-in"


async def test_a_forged_marker_is_worth_nothing(party: RelyingParty, units: Units, ada: Account) -> None:
    await party.code()
    _, back = detour(await party.authorize(prompt="login"))
    marker = party.http.cookies["interaction"]
    await people.signed_in(party.http, units, ada)
    for forged in (marker[:-2] + "AA", "x.y.z.w", "....", "0.." + marker, ""):
        party.http.cookies.set("interaction", forged)

        assert detour(await party.http.get(back))[0] == "/sign-in"
        party.http.cookies.delete("interaction")


async def become_member(units: Units, account: Account) -> None:
    """Give an account a year."""
    async with units.open() as work:
        await terms.begin(work, account.id, dues=await policies.in_force(work, Dues))


async def test_joining_leads_through_sign_up_and_back_to_consent(party: RelyingParty, units: Units) -> None:
    path, back = detour(await party.authorize(prompt="create"))
    assert path == "/sign-up"
    newcomer = await people.register(units, "newcomer")
    await become_member(units, newcomer)

    await sign_in_again(party.http, units, newcomer)

    assert (await party.http.get(back)).status_code == 200


@pytest.mark.usefixtures("ada")
async def test_joining_leads_who_is_no_member_through_the_dues_once(party: RelyingParty) -> None:
    path, back = detour(await party.authorize(prompt="create"))
    assert path == "/join"

    assert (await party.http.get(back)).status_code == 200


async def test_a_member_who_presses_join_is_shown_as_whom_they_are_signed_in(
    party: RelyingParty, units: Units, ada: Account
) -> None:
    await become_member(units, ada)
    await party.code()

    page = await party.authorize(prompt="create")

    assert page.status_code == 200
    assert "You are signed in as ada." in page.text


@pytest.mark.usefixtures("ada")
async def test_prompt_consent_asks_again(party: RelyingParty) -> None:
    await party.code()

    page = await party.authorize(prompt="consent")

    assert page.status_code == 200
    assert "code" in answer_of(await party.agree(page))


@pytest.mark.usefixtures("ada")
async def test_prompt_select_account_shows_who_it_would_be(party: RelyingParty) -> None:
    await party.code()

    page = await party.authorize(prompt="select_account")

    assert page.status_code == 200
    assert "You are signed in as ada." in page.text
    assert "/sign-in?reauthenticate=1" in page.text


async def test_a_session_older_than_max_age_signs_in_again(
    party: RelyingParty, units: Units, ada: Account, clock: FixedClock
) -> None:
    await party.code()
    clock.advance(timedelta(minutes=10))
    assert "code" in answer_of(await party.authorize(max_age="601"))

    path, back = detour(await party.authorize(max_age="599"))
    assert path == "/sign-in"
    await sign_in_again(party.http, units, ada)

    assert "code" in answer_of(await party.http.get(back))


@pytest.mark.usefixtures("ada")
async def test_max_age_binds_prompt_none(party: RelyingParty, clock: FixedClock) -> None:
    await party.code()
    clock.advance(timedelta(minutes=10))

    assert answer_of(await party.authorize(prompt="none", max_age="60"))["error"] == "login_required"
    assert "code" in answer_of(await party.authorize(prompt="none", max_age="9" * 18))


@pytest.mark.usefixtures("ada")
async def test_a_hint_at_the_same_member_passes(party: RelyingParty) -> None:
    tokens = await party.tokens()

    assert "code" in answer_of(await party.authorize(prompt="none", id_token_hint=tokens["id_token"]))


async def test_a_hint_at_somebody_else_is_login_required(party: RelyingParty, units: Units) -> None:
    await people.signed_in_client(party.http, units, "ada")
    hint = (await party.tokens())["id_token"]
    await people.signed_in_client(party.http, units, "brook")
    await party.code()

    told = answer_of(await party.authorize(prompt="none", id_token_hint=hint))

    assert told["error"] == "login_required"


@pytest.mark.parametrize("hint", ["x", "e30.e30.", "a.b.c.d", "é"])
@pytest.mark.parametrize("prompt", [None, "none", "login", "create"])
async def test_a_bad_hint_is_told_before_anybody_signs_in(
    party: RelyingParty, hint: str, prompt: str | None
) -> None:
    told = answer_of(await party.authorize(id_token_hint=hint, prompt=prompt))

    assert (told.get("error"), told.get("state")) == ("invalid_request", "a state")


@pytest.mark.parametrize(("amr", "acr"), [(("pwd",), "aal1"), (("hwk", "user"), "aal2")])
async def test_how_somebody_signed_in_shows_in_the_id_token(
    party: RelyingParty, units: Units, amr: tuple[str, ...], acr: str
) -> None:
    await people.signed_in(party.http, units, await people.register(units), amr=amr)

    token = (await party.tokens())["id_token"]

    body = token.split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert (told["amr"], told["acr"]) == (list(amr), acr)
