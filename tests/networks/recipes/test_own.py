"""A network of one's own, as `examples/network.py` is one: with every check that the standards have."""

import secrets

import pytest

from tests.networks.recipes.application import PKCE, VERIFIER, Application, Claims
from tests.networks.recipes.configurations import blocks, env
from tests.networks.recipes.conftest import Person, Plug, SignsOut


async def sign_in(own: Application, **more: str) -> Claims:
    """Do what a careful library does, and return UserInfo."""
    settings = env(blocks(own.configuration, "env")[0])
    provider = (await own.wire.get(settings["OIDC_DISCOVERY"])).json()
    nonce, state = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    told = await own.send(
        {
            "response_type": "code",
            "client_id": settings["OIDC_CLIENT_ID"],
            "redirect_uri": settings["OIDC_REDIRECT_URI"],
            "scope": settings["OIDC_SCOPE"],
            "state": state,
            "nonce": nonce,
            **PKCE,
            **more,
        }
    )
    assert (told["state"], told["iss"]) == (state, settings["OIDC_ISSUER"])
    tokens = await own.post(
        {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": settings["OIDC_REDIRECT_URI"],
            "code_verifier": VERIFIER,
        },
        auth="encoded basic",
    )
    header, claims = await own.verified(tokens["id_token"])
    assert header["alg"] == "ES256"
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (provider["issuer"], own.client_id, nonce)
    return await own.userinfo(tokens["access_token"])


@pytest.mark.parametrize("member", [True, False])
async def test_a_network_learns_who_is_a_member(plug: Plug, ada: Person, *, member: bool) -> None:
    own = await plug("own")
    if member:
        await ada.joins()

    person = await sign_in(own)

    assert person["membership"] == ("active" if member else "none")
    assert person["groups"] == (["coop-members"] if member else [])
    assert person["preferred_username"]


async def test_a_join_button_brings_a_member_back_signed_in(plug: Plug, ada: Person) -> None:
    own = await plug("own")
    await ada.joins()

    assert (await sign_in(own, prompt="create"))["membership"] == "active"


async def test_a_network_asks_for_its_own_members(plug: Plug, ada: Person) -> None:
    own = await plug("own")
    await ada.joins()
    subject = (await sign_in(own))["sub"]

    token = await own.post(
        {"grant_type": "client_credentials", "scope": "entitlements"}, auth="encoded basic"
    )
    answer = await own.wire.get(
        f"/v1/entitlements/{subject}", headers={"Authorization": f"Bearer {token['access_token']}"}
    )

    assert answer.json()["membership"] == "active"


async def test_a_network_that_asks_for_itself_is_not_told_to_sign_out(
    plug: Plug, ada: Person, signs_out: SignsOut
) -> None:
    own = await plug("own")
    await ada.joins()
    await sign_in(own)
    await ada.leaves()

    assert await signs_out(own) == []
