"""Discourse signs in by omniauth-oauth2 with claims from UserInfo; it trusts the connection instead of the signature."""

import re
import secrets

from tests.networks.recipes.application import PKCE, VERIFIER, Application, Claims, unverified
from tests.networks.recipes.configurations import blocks
from tests.networks.recipes.conftest import Person, Plug


async def sign_in(discourse: Application) -> tuple[Claims, str]:
    """Do what the plug-in does, and return its UserInfo and the ID Token."""
    (script,) = blocks(discourse.configuration, "sh")
    settings = dict(re.findall(r'^  openid_connect_(\w+): "?(.*?)"?,?$', script, re.MULTILINE))
    answer = await discourse.wire.get(settings["discovery_document"])
    provider = answer.json()
    for needed in ("authorization_endpoint", "token_endpoint", "issuer", "userinfo_endpoint"):
        assert provider[needed]
    # Whatever else is offered, it stays with HTTP Basic while that is among it.
    assert "client_secret_basic" in provider["token_endpoint_auth_methods_supported"]
    assert settings["use_pkce"] == "true"
    nonce, state = secrets.token_hex(32), secrets.token_hex(24)
    told = await discourse.send(
        {
            "client_id": settings["client_id"],
            "nonce": nonce,
            "redirect_uri": discourse.redirect_uri,
            "response_type": "code",
            "scope": settings["authorize_scope"],
            "state": state,
            **PKCE,
        }
    )
    assert told["state"] == state
    # Its Basic does not encode the pair, so that neither may hold what would need it.
    assert re.fullmatch(r"[A-Za-z0-9_-]+", settings["client_secret"])
    tokens = await discourse.post(
        {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": discourse.redirect_uri,
            "code_verifier": VERIFIER,
        },
        auth="basic",
    )
    claims = unverified(tokens["id_token"])
    assert (claims["iss"], claims["aud"]) == (provider["issuer"], settings["client_id"])
    # A missing nonce is an error here, not a matter of taste.
    assert claims["nonce"] == nonce
    person = await discourse.userinfo(tokens["access_token"])
    assert person["sub"] == claims["sub"]
    return person, tokens["id_token"]


async def test_discourse_reads_names_and_addresses_in_userinfo(plug: Plug, ada: Person) -> None:
    person, _ = await sign_in(await plug("discourse"))

    assert person["preferred_username"]
    assert (person["email"], person["email_verified"]) == ("ada@example.org", True)


async def test_discourse_fills_a_group_with_members(plug: Plug, ada: Person) -> None:
    discourse = await plug("discourse")
    before, _ = await sign_in(discourse)
    await ada.joins()
    after, _ = await sign_in(discourse)

    # An array each time: with anything else the plug-in would leave its groups as they were.
    assert (before["groups"], after["groups"]) == ([], ["coop-members"])


async def test_discourse_signs_people_out_and_has_them_back(plug: Plug, ada: Person) -> None:
    discourse = await plug("discourse")
    _, id_token = await sign_in(discourse)
    home = f"{discourse.made.network.origin}/"

    page = await discourse.browser.get(
        "/oauth/end-session", params={"id_token_hint": id_token, "post_logout_redirect_uri": home}
    )

    assert f'openid_connect_rp_initiated_logout_redirect: "{home}"' in discourse.configuration
    assert page.status_code == 200
