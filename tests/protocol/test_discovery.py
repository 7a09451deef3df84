"""Discovery and keys: OpenID Connect Discovery 1.0, RFC 8414, RFC 7517."""

import httpx
import pytest

from coop.authorization import keys
from coop.authorization.keys import SigningKey
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.conftest import ISSUER


async def test_both_documents_say_the_same(wire: httpx.AsyncClient) -> None:
    openid = await wire.get("/.well-known/openid-configuration")
    oauth = await wire.get("/.well-known/oauth-authorization-server")

    assert openid.json() == oauth.json()
    assert openid.json()["issuer"] == ISSUER
    assert openid.headers["access-control-allow-origin"] == "*"


async def test_nothing_is_promised_that_is_not_there(wire: httpx.AsyncClient) -> None:
    document = (await wire.get("/.well-known/openid-configuration")).json()

    assert not {
        "pushed_authorization_request_endpoint",
        "device_authorization_endpoint",
        "dpop_signing_alg_values_supported",
        "require_pushed_authorization_requests",
        "request_object_signing_alg_values_supported",
        "id_token_encryption_alg_values_supported",
        "tls_client_certificate_bound_access_tokens",
        "check_session_iframe",
    } & set(document)
    assert document["response_types_supported"] == ["code"]
    assert document["response_modes_supported"] == ["query"]
    assert document["request_parameter_supported"] is False
    assert document["request_uri_parameter_supported"] is False
    assert document["subject_types_supported"] == ["pairwise"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["token_endpoint_auth_methods_supported"] == [
        "none", "client_secret_basic", "client_secret_post", "private_key_jwt"
    ]  # fmt: skip
    # A client without a secret introspects nothing.
    assert "none" not in document["introspection_endpoint_auth_methods_supported"]
    for endpoint in ("token", "introspection", "revocation"):
        algorithms = document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert algorithms == ["ES256", "RS256", "PS256", "EdDSA"]


async def test_every_endpoint_of_the_document_answers(wire: httpx.AsyncClient) -> None:
    document = (await wire.get("/.well-known/openid-configuration")).json()

    addresses = [v for k, v in document.items() if k.endswith("_endpoint") or k == "jwks_uri"]
    for address in addresses:
        assert address.startswith(ISSUER)
        assert (await wire.get(address)).status_code != 404


async def test_three_algorithms_are_offered_and_nothing_private_is_published(wire: httpx.AsyncClient) -> None:
    published = (await wire.get("/oauth/jwks")).json()["keys"]

    assert {key["alg"] for key in published} == {"ES256", "RS256", "EdDSA"}
    for key in published:
        assert key["use"] == "sig"
        assert key["kid"]
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)


async def test_private_keys_are_sealed_in_the_database(units: Units) -> None:
    await keys.prepare(units)

    async with units.read() as work:
        rows = list(
            await work.session.scalars(SigningKey.__table__.select().with_only_columns(SigningKey.sealed))
        )
    assert rows
    assert not any(b"PRIVATE KEY" in sealed for sealed in rows)


async def test_a_second_start_makes_no_second_keys(units: Units) -> None:
    async with units.read() as work:
        before = await keys.published(work)

    await keys.prepare(units)

    async with units.read() as work:
        assert await keys.published(work) == before


@pytest.mark.usefixtures("app")
async def test_a_signature_needs_the_secret_that_sealed_the_key(settings: Settings, units: Units) -> None:
    assert settings.secret_key
    async with units.read() as work:
        token = await keys.sign(work, "RS256", {"iss": ISSUER})

    assert token.count(".") == 2
