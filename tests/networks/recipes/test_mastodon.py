"""Mastodon signs in by omniauth_openid_connect: it reads UserInfo and the ID Token together."""

import re
import secrets

from coop.authorization import supervision
from coop.clock import FixedClock
from coop.membership import entitlements
from coop.unit_of_work import Units
from tests.networks.recipes.application import PKCE, VERIFIER, Application, Claims
from tests.networks.recipes.configurations import blocks, env
from tests.networks.recipes.conftest import Person, Plug


async def sign_in(mastodon: Application, *, email: bool = True) -> Claims:
    """Do what the gem does, with the settings that the admin pasted, and return what Mastodon knows of the person."""
    settings = env(blocks(mastodon.configuration, "env")[0])
    provider = await mastodon.discover()
    # Its discovery refuses a provider that calls itself otherwise than the setting says, also by a slash.
    assert provider["issuer"] == settings["OIDC_ISSUER"]
    state, nonce = secrets.token_hex(16), secrets.token_hex(16)
    scope = " ".join(settings["OIDC_SCOPE"].split(","))
    told = await mastodon.send(
        {
            "response_type": "code",
            "client_id": settings["OIDC_CLIENT_ID"],
            "redirect_uri": settings["OIDC_REDIRECT_URI"],
            "scope": scope,
            "state": state,
            "nonce": nonce,
            **PKCE,
        },
        email=email,
    )
    assert told["state"] == state
    # The gem names the scope once more here, unless it is told not to.
    tokens = await mastodon.post(
        {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": settings["OIDC_REDIRECT_URI"],
            "code_verifier": VERIFIER,
            "scope": scope,
        },
        auth="encoded basic",
    )
    header, claims = await mastodon.verified(tokens["id_token"])
    assert header["alg"] == "RS256"
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (
        settings["OIDC_ISSUER"],
        settings["OIDC_CLIENT_ID"],
        nonce,
    )
    person = await mastodon.userinfo(tokens["access_token"]) | claims
    return person | {"uid": person[settings["OIDC_UID_FIELD"]]}


async def test_mastodon_takes_the_alias_for_a_user_name(plug: Plug, ada: Person) -> None:
    person = await sign_in(await plug("mastodon"))

    # Mastodon drops other characters and cuts at thirty; neither may be needed, lest two people become one.
    assert re.fullmatch(r"[a-z0-9_]{2,30}", person["uid"])


async def test_mastodon_finds_the_same_account_again(plug: Plug, ada: Person) -> None:
    mastodon = await plug("mastodon")

    assert (await sign_in(mastodon))["uid"] == (await sign_in(mastodon))["uid"]


async def test_mastodon_reattaches_by_a_verified_address_only(plug: Plug, ada: Person) -> None:
    person = await sign_in(await plug("mastodon"))

    # Anything but true would count as unverified here, and as verified elsewhere.
    assert (person["email"], person["email_verified"]) == ("ada@example.org", True)


async def test_mastodon_asks_for_an_address_that_is_not_shared(plug: Plug, ada: Person) -> None:
    person = await sign_in(await plug("mastodon"), email=False)

    assert not {"email", "email_verified"} & set(person)


async def test_mastodon_may_have_the_cooperative_s_door_closed_to_all_but_members(
    plug: Plug, ada: Person, units: Units, clock: FixedClock
) -> None:
    mastodon = await plug("mastodon")
    async with units.open() as work:
        await supervision.gate(work, mastodon.made.network, members_only=True, reason="Members", by=None)
    asked = {
        "response_type": "code",
        "client_id": mastodon.client_id,
        "redirect_uri": mastodon.redirect_uri,
        "scope": "openid profile email",
        "state": "s",
        "nonce": "n",
        **PKCE,
    }

    led = await mastodon.browser.get("/oauth/authorize", params=asked)
    back = await mastodon.send(asked)
    await ada.joins()
    member = await mastodon.send(asked)
    async with units.read() as work:
        assert (await entitlements.of(work, ada.account.id)).membership == "active"

    # Whoever is no member is led through the dues once, and told so if they come back without.
    assert led.headers["location"].startswith("/join?next=")
    assert (back["error"], back["state"]) == ("access_denied", "s")
    assert "code" in member


async def test_mastodon_signs_people_out_without_saying_who_asks(plug: Plug, ada: Person) -> None:
    mastodon = await plug("mastodon")
    provider = await mastodon.discover()

    # Without OIDC_IDP_LOGOUT_REDIRECT_URI the gem sends no parameter at all.
    page = await mastodon.browser.get(provider["end_session_endpoint"])

    assert page.status_code == 200
