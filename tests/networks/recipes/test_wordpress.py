"""WordPress's OpenID Connect Generic reads UserInfo, knows neither PKCE nor nonce, and names the scope twice."""

import hashlib
import secrets

import pytest

from tests.networks.recipes.application import Application, Claims, unverified
from tests.networks.recipes.configurations import blocks, php
from tests.networks.recipes.conftest import Person, Plug


async def sign_in(wordpress: Application) -> tuple[Claims, Claims]:
    """Do what the plug-in does, and return UserInfo and the tokens."""
    settings = php(blocks(wordpress.configuration, "php")[0])
    redirect_uri = f"{wordpress.made.network.origin}/wp-admin/admin-ajax.php?action=openid-connect-authorize"
    state = hashlib.md5(secrets.token_bytes(16), usedforsecurity=False).hexdigest()
    told = await wordpress.send(
        {
            "response_type": "code",
            "scope": settings["OIDC_CLIENT_SCOPE"],
            "client_id": settings["OIDC_CLIENT_ID"],
            "state": state,
            "redirect_uri": redirect_uri,
        }
    )
    # Its address has a query of its own, which must still be there for WordPress to find its way.
    assert (told["action"], told["state"]) == ("openid-connect-authorize", state)
    tokens = await wordpress.post(
        {
            "code": told["code"],
            "redirect_uri": redirect_uri,
            "grant_type": "authorization_code",
            "scope": settings["OIDC_CLIENT_SCOPE"],
        },
        auth="post",
    )
    person = await wordpress.userinfo(tokens["access_token"])
    assert person["sub"] == unverified(tokens["id_token"])["sub"]
    return person, tokens


async def test_wordpress_reads_name_and_address_in_userinfo(plug: Plug, ada: Person) -> None:
    person, _ = await sign_in(await plug("wordpress"))

    # Both are needed for a user to be made.
    assert person["preferred_username"]
    assert person["email"] == "ada@example.org"


@pytest.mark.parametrize("member", [True, False])
async def test_the_filter_lets_in_members_only(plug: Plug, ada: Person, *, member: bool) -> None:
    wordpress = await plug("wordpress")
    if member:
        await ada.joins()

    person, _ = await sign_in(wordpress)

    assert ("coop-members" in person["groups"]) is member


async def test_wordpress_signs_people_out_and_has_them_back(plug: Plug, ada: Person) -> None:
    wordpress = await plug("wordpress")
    _, tokens = await sign_in(wordpress)

    # home_url( '/' ), as the second filter of the recipe says.
    page = await wordpress.browser.get(
        "/oauth/end-session",
        params={
            "id_token_hint": tokens["id_token"],
            "post_logout_redirect_uri": "https://wordpress.example/",
        },
    )

    assert page.status_code == 200


async def test_wordpress_learns_at_its_next_refresh_that_somebody_signed_out(plug: Plug, ada: Person) -> None:
    wordpress = await plug("wordpress")
    _, tokens = await sign_in(wordpress)
    # The plug-in refreshes once the access token has expired, and ends its own session when that is refused.
    refreshed = await wordpress.post(
        {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, auth="post"
    )

    await wordpress.browser.post("/sign-out")
    refused = await wordpress.answer(
        {"grant_type": "refresh_token", "refresh_token": refreshed["refresh_token"]}, auth="post"
    )

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
