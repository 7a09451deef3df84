"""The Matrix Authentication Service validates metadata strictly, and reads the ID Token only."""

import re
import secrets
from urllib.parse import urlsplit

import jinja2
import pytest

from coop.authorization import discovery
from coop.settings import Settings
from tests.networks.recipes.application import PKCE, VERIFIER, Application, Claims
from tests.networks.recipes.configurations import blocks, yaml_of
from tests.networks.recipes.conftest import Person, Plug, SignsOut


def provider_of(mas: Application) -> Claims:
    """Return the provider as the service reads it from its configuration."""
    (block,) = blocks(mas.configuration, "yaml")
    (provider,) = yaml_of(block)["upstream_oauth2"]["providers"]
    return provider


async def sign_in(mas: Application) -> Claims:
    """Do what the service does, and return the claims of the ID Token."""
    provider = provider_of(mas)
    metadata = await mas.discover()
    assert metadata["issuer"] == provider["issuer"]
    nonce = secrets.token_urlsafe(16)
    redirect_uri = f"{mas.made.network.origin}/upstream/callback/{provider['id']}"
    told = await mas.send(
        {
            "response_type": "code",
            "response_mode": "query",
            "client_id": provider["client_id"],
            "redirect_uri": redirect_uri,
            "scope": provider["scope"],
            "state": "state",
            "nonce": nonce,
            **PKCE,
        }
    )
    tokens = await mas.post(
        {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": redirect_uri,
            "code_verifier": VERIFIER,
        },
        auth="encoded basic",
    )
    header, claims = await mas.verified(tokens["id_token"])
    assert header["alg"] == provider["id_token_signed_response_alg"]
    assert claims["nonce"] == nonce
    assert claims["at_hash"]
    return claims


def test_mas_finds_the_metadata_in_order() -> None:
    document = discovery.metadata(Settings(issuer="https://members.example"))

    addresses = {name: str(value) for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert all(urlsplit(address).scheme == "https" for address in addresses.values())
    for name in ("authorization_endpoint", "token_endpoint", "revocation_endpoint"):
        assert "#" not in addresses[name]
    assert "openid" in document["scopes_supported"]
    for name in (
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    ):
        assert document[name]
    for endpoint in ("token", "revocation", "introspection"):
        assert "none" not in document.get(f"{endpoint}_endpoint_auth_signing_alg_values_supported", [])


@pytest.mark.parametrize("member", [True, False])
async def test_mas_gives_a_name_to_members_only(plug: Plug, ada: Person, *, member: bool) -> None:
    mas = await plug("mas")
    if member:
        await ada.joins()

    claims = await sign_in(mas)

    # The service's own templates (minijinja) read such expressions as Jinja does.
    template = provider_of(mas)["claims_imports"]["localpart"]["template"]
    name = jinja2.Environment(autoescape=True).from_string(template).render(user=claims)
    assert name == (claims["preferred_username"] if member else "")
    assert re.fullmatch(r"[a-z][a-z0-9_]*", claims["preferred_username"])


async def test_mas_may_call_back_and_log_out_at_its_own_address_only(plug: Plug) -> None:
    mas = await plug("mas")

    provider = provider_of(mas)["id"]
    assert mas.made.client.redirect_uris == [f"https://mas.example/upstream/callback/{provider}"]
    assert (
        mas.made.client.backchannel_logout_uri
        == f"https://mas.example/upstream/backchannel-logout/{provider}"
    )


async def test_mas_is_told_to_sign_out_who_is_no_member_any_more(
    plug: Plug, ada: Person, signs_out: SignsOut
) -> None:
    mas = await plug("mas")
    await ada.joins()
    claims = await sign_in(mas)
    await ada.leaves()

    (token,) = await signs_out(mas)

    header, told = await mas.verified(token)
    assert (told["iss"], told["aud"]) == (claims["iss"], claims["aud"])
    assert told["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in told
    assert header["alg"] == "RS256"
    assert (told["sub"], told["sid"]) == (claims["sub"], claims["sid"])
