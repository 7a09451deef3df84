"""Forgejo and Gitea sign in by goth, which knows neither PKCE nor nonce, and merges UserInfo into the ID Token."""

import secrets

import pytest

from tests.networks.recipes.application import PKCE, VERIFIER, Application, Claims, unverified
from tests.networks.recipes.configurations import blocks, command, options
from tests.networks.recipes.conftest import Person, Plug

KINDS = ["forgejo", "gitea"]


def settings_of(forge: Application) -> dict[str, list[str]]:
    """Return the options of the command that the admin pasted."""
    return options(command(blocks(forge.configuration, "sh")[0], forge.made.network.kind))


async def sign_in(forge: Application, *, challenge: bool = False) -> tuple[Claims, Claims]:
    """Do what goth does, and return the claims that it merges, and the tokens."""
    settings = settings_of(forge)
    provider = (await forge.wire.get(settings["auto-discover-url"][0])).json()
    state = secrets.token_urlsafe(48)
    asked = {
        "client_id": settings["key"][0],
        "redirect_uri": f"{forge.made.network.origin}/user/oauth2/{settings['name'][0]}/callback",
        "response_type": "code",
        "scope": " ".join(settings["scopes"]),
        "state": state,
    }
    told = await forge.send(asked | (PKCE if challenge else {}))
    assert told["state"] == state
    form = {
        "grant_type": "authorization_code",
        "code": told["code"],
        "redirect_uri": asked["redirect_uri"],
    }
    # Go's library tries HTTP Basic before all else; refused, it would send the same code again by form.
    tokens = await forge.post(form | ({"code_verifier": VERIFIER} if challenge else {}), auth="encoded basic")
    claims = unverified(tokens["id_token"])
    assert (claims["iss"], claims["aud"]) == (provider["issuer"], settings["key"][0])
    assert isinstance(claims["exp"], int)
    person = await forge.userinfo(tokens["access_token"])
    assert person["sub"] == claims["sub"]
    return claims | person, tokens


@pytest.mark.parametrize("kind", KINDS)
async def test_forges_read_name_and_address(plug: Plug, ada: Person, kind: str) -> None:
    claims, _ = await sign_in(await plug(kind))

    # goth's nickname is the first of these two that is there.
    assert claims.get("nickname") or claims["preferred_username"]
    assert claims["email"] == "ada@example.org"


@pytest.mark.parametrize("member", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_forges_let_in_members_only(plug: Plug, ada: Person, kind: str, *, member: bool) -> None:
    forge = await plug(kind)
    if member:
        await ada.joins()

    claims, _ = await sign_in(forge)

    settings = settings_of(forge)
    values = claims[settings["required-claim-name"][0]]
    assert isinstance(values, list)
    assert (settings["required-claim-value"][0] in values) is member


@pytest.mark.parametrize("kind", KINDS)
async def test_tokens_fit_into_the_cookie_of_a_forge(plug: Plug, ada: Person, kind: str) -> None:
    await ada.joins()

    _, tokens = await sign_in(await plug(kind))

    # Its session is a cookie of at most 4096 bytes, of which encryption and encoding take their part.
    assert len(tokens["access_token"]) + len(tokens["id_token"]) < 1600


async def test_a_challenge_of_a_newer_gitea_binds(plug: Plug, ada: Person) -> None:
    gitea = await plug("gitea")

    claims, _ = await sign_in(gitea, challenge=True)

    assert claims["sub"]
