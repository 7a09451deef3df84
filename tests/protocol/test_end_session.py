"""Signing out at a network's request: RP-Initiated Logout 1.0; identity.md, refusal 12."""

import base64
from datetime import timedelta

import httpx
import pytest

from coop.authorization import keys, rotation
from coop.clock import FixedClock
from coop.unit_of_work import Units
from tests import people
from tests.protocol.relying_party import Form, RelyingParty

pytestmark = pytest.mark.usefixtures("ada")
BYE = "https://lantern.example/bye"


async def confirm(party: RelyingParty, page: httpx.Response, decision: str = "sign-out") -> httpx.Response:
    """Send the confirmation page's own form."""
    assert page.status_code == 200, page.text
    fields = Form(page.text, "/oauth/sign-out").fields
    return await party.http.post("/oauth/sign-out", data=fields | {"decision": decision})


async def end_session(party: RelyingParty, **parameters: str) -> httpx.Response:
    """Send the browser to the end-session endpoint."""
    return await party.http.get("/oauth/end-session", params=parameters)


async def test_a_confirmed_logout_ends_the_session_and_leads_back(party: RelyingParty) -> None:
    tokens = await party.tokens()
    page = await end_session(
        party, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE, state="x y"
    )

    answer = await confirm(party, page)

    assert answer.headers["location"] == f"{BYE}?state=x%20y"
    assert (await party.authorize()).headers["location"].startswith("/sign-in")


async def test_the_pages_speak_the_language_that_the_network_asks_for(party: RelyingParty) -> None:
    page = await end_session(party, ui_locales="de pl-PL fr")

    assert page.headers["content-language"] == "pl"
    assert (await confirm(party, page)).headers["content-language"] == "pl"
    # Whoever is not signed in any more gets the last page only.
    assert (await end_session(party, ui_locales="fr")).headers["content-language"] == "fr"


async def test_the_visitors_own_choice_comes_before_the_networks(party: RelyingParty) -> None:
    await party.http.post("/language", data={"locale": "fr"})

    page = await end_session(party, ui_locales="pl")

    assert page.headers["content-language"] == "fr"


async def test_a_language_that_we_do_not_speak_changes_nothing(party: RelyingParty) -> None:
    page = await end_session(party, ui_locales="de")

    assert page.headers["content-language"] == "en"


async def test_nobody_is_signed_out_before_they_confirm(party: RelyingParty) -> None:
    tokens = await party.tokens()
    page = await end_session(party, id_token_hint=tokens["id_token"])

    await confirm(party, page, "stay")

    assert (await party.authorize(prompt="none")).headers["location"].startswith(party.redirect_uri)


async def test_what_was_granted_for_the_session_ends_with_it(party: RelyingParty) -> None:
    online = await party.tokens(scope="openid")
    offline = await party.tokens(scope="openid offline_access")

    await confirm(party, await end_session(party, id_token_hint=online["id_token"]))

    assert (await party.userinfo(online["access_token"])).status_code == 401
    assert (await party.userinfo(offline["access_token"])).status_code == 200


@pytest.mark.parametrize("uri", ["https://evil.example/", f"{BYE}/", f"{BYE}?added=1", "javascript:alert(1)"])
async def test_an_unregistered_address_is_no_way_out(party: RelyingParty, uri: str) -> None:
    tokens = await party.tokens()

    answer = await end_session(party, id_token_hint=tokens["id_token"], post_logout_redirect_uri=uri)

    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_an_address_without_a_client_is_no_way_out(party: RelyingParty) -> None:
    assert (await end_session(party, post_logout_redirect_uri=BYE)).status_code == 400


async def test_a_hint_that_nobody_signed_is_refused(party: RelyingParty) -> None:
    claims = (await party.tokens())["id_token"].split(".")[1]
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()

    for hint in (f"{header}.{claims}.", f"{header}.{claims}", "nonsense", "a.b.c", "\u00fc.\u00fc.\u00fc"):
        answer = await end_session(party, id_token_hint=hint, post_logout_redirect_uri=BYE)

        assert answer.status_code == 400


async def test_a_hint_for_another_client_is_refused(party: RelyingParty, other: RelyingParty) -> None:
    tokens = await other.tokens()

    answer = await end_session(party, id_token_hint=tokens["id_token"], client_id=party.client_id)

    assert answer.status_code == 400


async def test_a_network_may_ask_by_form(party: RelyingParty) -> None:
    tokens = await party.tokens()

    answer = await party.http.post(
        "/oauth/end-session",
        data={"id_token_hint": tokens["id_token"]},
        headers={"Sec-Fetch-Site": "cross-site"},
    )

    assert answer.headers["location"].startswith("/oauth/end-session?id_token_hint=")


async def test_without_a_session_there_is_nothing_to_confirm(party: RelyingParty) -> None:
    tokens = await party.tokens()
    party.http.cookies.clear()

    answer = await end_session(party, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE)

    assert answer.headers["location"] == BYE


async def test_another_sites_confirmation_is_refused(party: RelyingParty) -> None:
    answer = await party.http.post(
        "/oauth/sign-out", data={"decision": "sign-out"}, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert answer.status_code == 403


async def test_a_hint_that_expired_long_ago_and_whose_key_is_retired_still_says_who_asks(
    party: RelyingParty, units: Units, clock: FixedClock
) -> None:
    tokens = await party.tokens()
    await rotation.rotate(units, "ES256")
    for wait in (rotation.SOONEST, rotation.OVERLAP):
        clock.advance(wait)
        await rotation.rotate_due(units)
    clock.advance(timedelta(days=7))

    page = await end_session(party, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE)

    assert (await confirm(party, page)).headers["location"] == BYE


async def test_a_hint_by_a_key_in_wrong_hands_is_refused(party: RelyingParty, units: Units) -> None:
    tokens = await party.tokens()
    await rotation.replace(units, "ES256")

    answer = await end_session(party, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE)

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("logout+jwt", {}),
        ("at+jwt", {}),
        ("JWT", {"iss": "https://elsewhere.example"}),
        ("JWT", {"aud": ["two", "audiences"]}),
        ("JWT", {"sub": None}),
        ("JWT", {"aud": "nobody"}),
    ],
)
async def test_what_we_signed_but_is_no_id_token_of_ours_is_no_hint(
    party: RelyingParty, units: Units, kind: str, changes: dict[str, object]
) -> None:
    told = {"iss": units.settings.issuer, "aud": party.client_id, "sub": "somebody"} | changes
    async with units.read() as work:
        hint = await keys.sign(work, "ES256", told, kind=kind)

    assert (await end_session(party, id_token_hint=hint)).status_code == 400


async def test_a_hint_that_means_another_member_offers_to_stay_first(
    party: RelyingParty, units: Units
) -> None:
    hint = (await party.tokens())["id_token"]
    await people.signed_in_client(party.http, units, "eve")

    page = await end_session(party, id_token_hint=hint, post_logout_redirect_uri=BYE)

    assert "Sign out @eve?" in page.text
    assert page.text.index('value="stay"') < page.text.index('value="sign-out"')
    assert (await confirm(party, page, "stay")).headers["location"] == BYE
    assert (await party.http.get("/account/security")).status_code == 200
    await confirm(party, page)
    assert (await party.http.get("/account/security")).status_code == 401


async def test_a_known_client_without_a_hint_may_name_its_address(party: RelyingParty) -> None:
    page = await end_session(party, client_id=party.client_id, post_logout_redirect_uri=BYE, state="s")

    assert "Sign out here as well?" in page.text
    assert (await confirm(party, page)).headers["location"] == f"{BYE}?state=s"


async def test_an_unknown_client_and_a_parameter_given_twice_are_refused(party: RelyingParty) -> None:
    unknown = await end_session(party, client_id="nobody", post_logout_redirect_uri=BYE)
    twice = await party.http.get(
        f"/oauth/end-session?client_id={party.client_id}&state=a&state=b&post_logout_redirect_uri={BYE}"
    )

    assert (unknown.status_code, twice.status_code) == (400, 400)


async def test_the_confirmation_cannot_be_given_a_foreign_address(party: RelyingParty) -> None:
    tokens = await party.tokens()

    forged = await party.http.post(
        "/oauth/sign-out",
        data={
            "request": f"id_token_hint={tokens['id_token']}&post_logout_redirect_uri=https://evil.example/",
            "decision": "sign-out",
        },
    )

    assert forged.status_code == 400
    assert (await party.http.get("/account/security")).status_code == 200
