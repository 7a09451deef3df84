"""Nextcloud's user_oidc reads the ID Token only, always sends `claims`, and prefers the form for its secret."""

import json
import re
import secrets

import pytest
from joserfc.jwk import KeySet

from tests.networks.recipes.application import PKCE, VERIFIER, Application, Claims
from tests.networks.recipes.configurations import blocks, command, options
from tests.networks.recipes.conftest import Person, Plug, SignsOut


def settings_of(nextcloud: Application) -> dict[str, str]:
    """Return the options of the command that the admin pasted."""
    (block,) = blocks(nextcloud.configuration, "sh")
    return {name: values[0] for name, values in options(command(block, "php occ user_oidc:provider")).items()}


async def sign_in(nextcloud: Application, *, redirect_uri: str | None = None) -> tuple[Claims, str]:
    """Do what user_oidc does, and return the claims of the ID Token and the token."""
    settings = settings_of(nextcloud)
    provider = (await nextcloud.wire.get(settings["discoveryuri"])).json()
    asked_claims: Claims = {"id_token": {}, "userinfo": {}}
    for place in asked_claims.values():
        place.update(dict.fromkeys(("email", "name", "quota", "groups")))
        place[settings["mapping-uid"]] = {"essential": True}
    state, nonce = secrets.token_hex(16).upper(), secrets.token_hex(16).upper()
    asked = {
        "client_id": settings["clientid"],
        "response_type": "code",
        "scope": settings["scope"],
        "redirect_uri": redirect_uri or nextcloud.redirect_uri,
        "claims": json.dumps(asked_claims),
        "state": state,
        "nonce": nonce,
    }
    # It sends a challenge because the provider says that it understands one.
    assert "S256" in provider["code_challenge_methods_supported"]
    told = await nextcloud.send(asked | PKCE)
    assert told["state"] == state
    assert "client_secret_post" in provider["token_endpoint_auth_methods_supported"]
    tokens = await nextcloud.post(
        {
            "code": told["code"],
            "redirect_uri": asked["redirect_uri"],
            "grant_type": "authorization_code",
            "code_verifier": VERIFIER,
        },
        auth="post",
    )
    _, claims = await nextcloud.verified(tokens["id_token"])
    assert claims["iss"] == provider["issuer"]
    assert claims["aud"] == settings["clientid"]
    assert claims.get("azp", settings["clientid"]) == settings["clientid"]
    assert claims["nonce"] == nonce
    return claims, tokens["id_token"]


def groups_of(nextcloud: Application, claims: Claims) -> list[str]:
    """Return the groups that pass its whitelist; without any, nobody gets in."""
    pattern = settings_of(nextcloud)["group-whitelist-regex"]
    return [group for group in claims["groups"] if re.search(pattern.strip("/"), group)]


async def test_nextcloud_names_its_accounts_by_the_alias(plug: Plug, ada: Person) -> None:
    nextcloud = await plug("nextcloud")

    claims, _ = await sign_in(nextcloud)

    assert claims[settings_of(nextcloud)["mapping-uid"]]
    assert claims[settings_of(nextcloud)["mapping-email"]] == "ada@example.org"


@pytest.mark.parametrize("member", [True, False])
async def test_nextcloud_lets_in_members_only(plug: Plug, ada: Person, *, member: bool) -> None:
    nextcloud = await plug("nextcloud")
    if member:
        await ada.joins()

    claims, _ = await sign_in(nextcloud)

    assert groups_of(nextcloud, claims) == (["coop-members"] if member else [])
    # A quota that is not ours to give must not appear, since Nextcloud would set it.
    assert "quota" not in claims


async def test_nextcloud_may_be_reached_without_rewriting(plug: Plug, ada: Person) -> None:
    nextcloud = await plug("nextcloud")

    claims, _ = await sign_in(
        nextcloud, redirect_uri="https://nextcloud.example/index.php/apps/user_oidc/code"
    )

    assert claims["sub"]


async def test_nextcloud_finds_the_keys_strong_enough(plug: Plug) -> None:
    nextcloud = await plug("nextcloud")

    keys = KeySet.import_key_set((await nextcloud.wire.get("/oauth/jwks")).json())

    for key in keys.keys:
        told = key.as_dict(private=False)
        assert told["kid"]
        assert told["use"] == "sig"
        if told["kty"] == "RSA":
            # 256 bytes of modulus, in base64url.
            assert len(told["n"]) >= 342
        else:
            assert told["crv"] in {"P-256", "Ed25519"}


async def test_nextcloud_signs_people_out_and_has_them_back(plug: Plug, ada: Person) -> None:
    nextcloud = await plug("nextcloud")
    _, id_token = await sign_in(nextcloud)

    page = await nextcloud.browser.get(
        "/oauth/end-session"
        "?post_logout_redirect_uri=https://nextcloud.example/"
        f"&client_id={nextcloud.client_id}&id_token_hint={id_token}"
    )

    assert page.status_code == 200


async def test_nextcloud_is_told_to_sign_out_who_is_no_member_any_more(
    plug: Plug, ada: Person, signs_out: SignsOut
) -> None:
    nextcloud = await plug("nextcloud")
    await ada.joins()
    claims = (await sign_in(nextcloud))[0]
    await ada.leaves()

    (token,) = await signs_out(nextcloud)

    _, told = await nextcloud.verified(token)
    assert (told["iss"], told["aud"]) == (claims["iss"], claims["aud"])
    assert told["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in told
    # What it must find; `exp` is not among what the specification asked for at first.
    assert {"iss", "aud", "iat", "exp", "jti", "events"} <= set(told)
    assert (told["sub"], told["sid"]) == (claims["sub"], claims["sid"])
