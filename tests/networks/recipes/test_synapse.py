"""Synapse validates by Authlib, reads the ID Token only, and lets in by `attribute_requirements`."""

import secrets

import jinja2
import pytest
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata

from coop.authorization import discovery
from coop.settings import Settings
from tests.networks.recipes.application import PKCE, VERIFIER, Application, Claims
from tests.networks.recipes.configurations import blocks, yaml_of
from tests.networks.recipes.conftest import Person, Plug, SignsOut


def provider_of(synapse: Application) -> Claims:
    """Return the provider as Synapse reads it from its configuration."""
    (block,) = blocks(synapse.configuration, "yaml")
    (provider,) = yaml_of(block)["oidc_providers"]
    return provider


async def sign_in(synapse: Application) -> Claims:
    """Do what Synapse does, and return the claims that it works with."""
    provider = provider_of(synapse)
    metadata = await synapse.discover()
    state, nonce = secrets.token_urlsafe(22), secrets.token_urlsafe(32)
    told = await synapse.send(
        {
            "response_type": "code",
            "client_id": provider["client_id"],
            "redirect_uri": f"{synapse.made.network.origin}/_synapse/client/oidc/callback",
            "scope": " ".join(provider["scopes"]),
            "state": state,
            "nonce": nonce,
            **PKCE,
        }
    )
    assert told["state"] == state
    tokens = await synapse.post(
        {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": synapse.redirect_uri,
            "code_verifier": VERIFIER,
        },
        auth="basic",
    )
    header, claims = await synapse.verified(tokens["id_token"])
    # Without more in the metadata it would only take RS256; with it, whatever they name.
    assert header["alg"] == "RS256"
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    checked = CodeIDToken(
        claims,
        header,
        options={"iss": {"values": [metadata["issuer"]]}},
        params={
            "nonce": nonce,
            "client_id": provider["client_id"],
            "access_token": tokens["access_token"],
        },
    )
    checked.validate(now=claims["iat"] + 1, leeway=120)
    return claims


def lets_in(synapse: Application, claims: Claims) -> bool:
    """Tell whether every requirement is met, as Synapse does it: a list matches by any of its values."""
    for requirement in provider_of(synapse)["attribute_requirements"]:
        values = claims.get(requirement["attribute"])
        if values is None or requirement["value"] not in (values if isinstance(values, list) else [values]):
            return False
    return True


def test_synapse_finds_the_metadata_in_order() -> None:
    document = discovery.metadata(Settings(issuer="https://members.example"))

    metadata = OpenIDProviderMetadata(document)

    metadata.validate_issuer()
    metadata.validate_authorization_endpoint()
    metadata.validate_token_endpoint()
    metadata.validate_token_endpoint_auth_methods_supported()
    metadata.validate_code_challenge_methods_supported()
    metadata.validate_response_types_supported()
    metadata.validate_jwks_uri()
    assert "client_secret_basic" in metadata["token_endpoint_auth_methods_supported"]
    assert "S256" in metadata["code_challenge_methods_supported"]
    assert "code" in metadata["response_types_supported"]


async def test_synapse_makes_a_name_from_the_id_token(plug: Plug, ada: Person) -> None:
    synapse = await plug("synapse")
    await ada.joins()

    claims = await sign_in(synapse)

    templates = provider_of(synapse)["user_mapping_provider"]["config"]
    name = (
        jinja2.Environment(autoescape=True).from_string(templates["localpart_template"]).render(user=claims)
    )
    assert name == claims["preferred_username"]
    # Matrix refuses names of digits only, and everything but small letters, digits and a few marks.
    assert name[0].isalpha()
    assert claims["email"] == "ada@example.org"


@pytest.mark.parametrize("member", [True, False])
async def test_synapse_lets_in_members_only(plug: Plug, ada: Person, *, member: bool) -> None:
    synapse = await plug("synapse")
    if member:
        await ada.joins()

    claims = await sign_in(synapse)

    assert isinstance(claims["groups"], list)
    assert lets_in(synapse, claims) is member


async def test_synapse_is_told_to_sign_out_who_is_no_member_any_more(
    plug: Plug, ada: Person, signs_out: SignsOut
) -> None:
    synapse = await plug("synapse")
    await ada.joins()
    claims = await sign_in(synapse)
    await ada.leaves()

    (token,) = await signs_out(synapse)

    header, told = await synapse.verified(token)
    assert (told["iss"], told["aud"]) == (claims["iss"], claims["aud"])
    assert told["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in told
    # It ends sessions by `sid`, and looks at `sub` as well.
    assert (told["sub"], told["sid"]) == (claims["sub"], claims["sid"])
    assert header["alg"] == "RS256"
