"""oauth2-proxy (alone, behind Caddy, before Ghost) checks the nonce, refreshes often, and reads groups each time."""

import base64
import hashlib
import secrets

import pytest

from tests.networks.recipes.application import PKCE, VERIFIER, Application, Claims
from tests.networks.recipes.configurations import blocks, toml
from tests.networks.recipes.conftest import Person, Plug

KINDS = ["oauth2-proxy", "caddy", "ghost"]


async def sign_in(proxy: Application) -> Claims:
    """Do what oauth2-proxy does, and return the answer of the token endpoint."""
    settings = toml(blocks(proxy.configuration, "toml")[0])
    provider = await proxy.discover()
    assert provider["issuer"] == settings["oidc_issuer_url"]
    # It sends the hash of a secret in its cookie, and an old parameter of Google's unless told otherwise.
    nonce = base64.urlsafe_b64encode(hashlib.sha256(secrets.token_bytes(32)).digest()).decode().rstrip("=")
    told = await proxy.send(
        {
            "approval_prompt": "force",
            "client_id": str(settings["client_id"]),
            "nonce": nonce,
            "redirect_uri": str(settings["redirect_url"]),
            "response_type": "code",
            "scope": str(settings["scope"]),
            "state": f"{secrets.token_urlsafe(32)}:/page?x=1",
            **PKCE,
        }
    )
    # Go's library encodes the pair of Basic, as RFC 6749 says.
    tokens = await proxy.post(
        {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": str(settings["redirect_url"]),
            "code_verifier": VERIFIER,
        },
        auth="encoded basic",
    )
    header, claims = await proxy.verified(tokens["id_token"])
    assert header["alg"] in provider["id_token_signing_alg_values_supported"]
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (
        settings["oidc_issuer_url"],
        settings["client_id"],
        nonce,
    )
    return tokens


async def lets_in(proxy: Application, tokens: Claims) -> bool:
    """Tell whether somebody with these tokens gets in."""
    settings = toml(blocks(proxy.configuration, "toml")[0])
    _, claims = await proxy.verified(tokens["id_token"])
    assert claims[str(settings["oidc_email_claim"])]
    return bool(set(claims[str(settings["oidc_groups_claim"])]) & set(settings["allowed_groups"]))


@pytest.mark.parametrize("kind", KINDS)
async def test_members_get_in_and_others_do_not(plug: Plug, ada: Person, kind: str) -> None:
    proxy = await plug(kind)
    before = await lets_in(proxy, await sign_in(proxy))
    await ada.joins()

    assert before is False
    assert await lets_in(proxy, await sign_in(proxy)) is True


async def test_who_is_no_member_any_more_is_out_at_the_next_refresh(plug: Plug, ada: Person) -> None:
    proxy = await plug("oauth2-proxy")
    await ada.joins()
    tokens = await sign_in(proxy)
    await ada.leaves()

    refreshed = await proxy.post(
        {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, auth="encoded basic"
    )

    assert await lets_in(proxy, tokens) is True
    assert await lets_in(proxy, refreshed) is False


async def test_two_requests_that_refresh_at_once_both_go_on(plug: Plug, ada: Person) -> None:
    proxy = await plug("oauth2-proxy")
    await ada.joins()
    form = {"grant_type": "refresh_token", "refresh_token": (await sign_in(proxy))["refresh_token"]}

    first, second = await proxy.post(form, auth="encoded basic"), await proxy.post(form, auth="encoded basic")

    # A page and its picture come in the same second, each with the same cookie.
    assert first["refresh_token"] == second["refresh_token"]


async def test_the_alias_is_asked_for_at_userinfo_where_the_id_token_has_none(
    plug: Plug, ada: Person
) -> None:
    proxy = await plug("oauth2-proxy")

    tokens = await sign_in(proxy)

    assert (await proxy.userinfo(tokens["access_token"]))["preferred_username"]
