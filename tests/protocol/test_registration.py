"""Dynamic registration: RFC 7591; OpenID Connect Registration 1.0; identity.md, refusals 14 and 15."""

import httpx
import msgspec
import pytest

from api.app import create_app
from coop.billing.stripe_gateway import StripeGateway
from coop.clock import FixedClock
from coop.settings import Settings
from tests.conftest import ISSUER, Postbox
from tests.networks.receiver import listening
from tests.protocol.signing_party import new_key, published

SECRET = new_key()
GOOD = {"redirect_uris": ["https://forum.example/callback"], "client_name": "Forum"}


async def register(wire: httpx.AsyncClient, **changes: object) -> httpx.Response:
    """Register a good client, changed."""
    return await wire.post("/oauth/register", json=GOOD | changes)


async def test_software_introduces_itself_and_learns_its_secret_once(wire: httpx.AsyncClient) -> None:
    answer = await register(wire)

    told = answer.json()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert told["client_secret"].startswith("coop_cs_")
    assert told["client_secret_expires_at"] == 0
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["redirect_uris"] == GOOD["redirect_uris"]


async def test_a_public_client_gets_no_secret(wire: httpx.AsyncClient) -> None:
    told = (await register(wire, token_endpoint_auth_method="none")).json()

    assert "client_secret" not in told


async def test_every_client_learns_how_to_manage_itself(wire: httpx.AsyncClient) -> None:
    told = (await register(wire)).json()

    assert told["registration_access_token"].startswith("coop_rat_")
    assert told["registration_client_uri"] == f"{ISSUER}/oauth/register/{told['client_id']}"


async def test_what_is_left_out_has_the_default_of_the_specifications(wire: httpx.AsyncClient) -> None:
    told = (await register(wire)).json()

    assert told["grant_types"] == ["authorization_code"]
    assert told["response_types"] == ["code"]
    assert told["application_type"] == "web"
    assert told["id_token_signed_response_alg"] == "RS256"
    assert told["subject_type"] == "pairwise"


EVERYTHING = {
    "post_logout_redirect_uris": ["https://forum.example/bye"],
    "token_endpoint_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    "response_types": ["code"],
    "scope": "openid email",
    "application_type": "web",
    "subject_type": "pairwise",
    "id_token_signed_response_alg": "EdDSA",
    "userinfo_signed_response_alg": "ES256",
    "introspection_signed_response_alg": "RS256",
    "jwks_uri": "https://forum.example/jwks",
    "backchannel_logout_uri": "https://forum.example/backchannel",
    "backchannel_logout_session_required": True,
    "default_max_age": 3600,
    "require_auth_time": True,
    "default_acr_values": ["aal2"],
    "initiate_login_uri": "https://forum.example/login",
    "client_uri": "https://forum.example/",
    "logo_uri": "https://forum.example/logo.png",
    "tos_uri": "https://forum.example/terms",
    "policy_uri": "https://forum.example/privacy",
    "contacts": ["admin@forum.example"],
    "software_id": "forum",
    "software_version": "1.2",
}


async def test_everything_that_is_understood_is_echoed(wire: httpx.AsyncClient) -> None:
    told = (await register(wire, **EVERYTHING)).json()

    assert {name: told.get(name) for name in EVERYTHING} == EVERYTHING


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"])
async def test_all_four_ways_to_authenticate_can_be_registered(wire: httpx.AsyncClient, method: str) -> None:
    keys = {"jwks": published(new_key())} if method == "private_key_jwt" else {}

    answer = await register(wire, token_endpoint_auth_method=method, **keys)

    told = answer.json()
    assert answer.status_code == 201
    assert told["token_endpoint_auth_method"] == method
    assert ("client_secret" in told) == method.startswith("client_secret")
    assert told.get("jwks") == keys.get("jwks")


async def test_null_means_left_out(wire: httpx.AsyncClient) -> None:
    told = (await register(wire, scope=None, logo_uri=None, grant_types=None)).json()

    assert told["grant_types"] == ["authorization_code"]
    assert "logo_uri" not in told


async def test_unknown_metadata_is_ignored(wire: httpx.AsyncClient) -> None:
    assert (await register(wire, favourite_colour="green")).status_code == 201


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://forum.example/callback#fragment",
        "https://forum.example/callback#",
        "https://user@forum.example/callback",
        "http://forum.example/callback",
        "HTTPS://forum.example/callback",
        "https:///callback",
        "/callback",
        "forum:callback",
        "https://*.example/callback",
        "https://forum.example/\u0000",
        "https://forum.example/ü",
        "https://forum.example/" + "a" * 2000,
        "https://forum.example:port/",
        "https://forum.example:0/",
        "https://[::1",
        "",
    ],
)
async def test_an_address_that_is_no_safe_way_back_is_refused(wire: httpx.AsyncClient, uri: str) -> None:
    for changes in (
        {"redirect_uris": [uri]},
        # A client that does not say its name is called by the host of its address.
        {"redirect_uris": [uri], "client_name": None},
        {"post_logout_redirect_uris": [uri]},
    ):
        answer = await register(wire, **changes)

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize(
    "changes",
    [
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_signing_alg": "HS256"},
        {"token_endpoint_auth_signing_alg": "none"},
        {"jwks": {"keys": []}, "jwks_uri": "https://forum.example/jwks"},
        {"jwks": {"keys": [SECRET.as_dict(private=True)]}},
        {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}},
        {"jwks": {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}]}},
        {"jwks": []},
        {"jwks": {"keys": 7}},
        {"jwks": {"keys": [7]}},
        {"jwks": {"keys": [{}] * 21}},
        {"jwks_uri": "http://forum.example/jwks#x"},
        {"jwks_uri": "ftp://forum.example/jwks"},
        {"jwks_uri": "https://user@forum.example/jwks"},
        {"jwks_uri": "https://169.254.169.254/latest"},
        {"backchannel_logout_uri": "https://forum.example/logout#x"},
        {"backchannel_logout_uri": "javascript:alert(1)"},
        {"backchannel_logout_session_required": "yes"},
        {"default_max_age": -1},
        {"default_max_age": "60"},
        {"default_max_age": True},
        {"default_max_age": 10**30},
        {"require_auth_time": "true"},
        {"default_acr_values": "aal2"},
        {"initiate_login_uri": "javascript:alert(1)"},
        {"client_uri": "javascript:alert(1)"},
        {"logo_uri": "data:image/png;base64,AAAA"},
        {"policy_uri": "https://user@forum.example/"},
        {"tos_uri": "/terms"},
        {"contacts": ["a" * 255]},
        {"default_acr_values": ["aal2\0"]},
        {"contacts": "admin@forum.example"},
        {"software_id": "a\u202eb"},
        {"id_token_signed_response_alg": "HS256"},
        {"id_token_signed_response_alg": "PS256"},
        {"userinfo_signed_response_alg": "none"},
        {"introspection_signed_response_alg": "HS256"},
        {"grant_types": ["password"]},
        {"grant_types": []},
        {"response_types": ["token"]},
        {"token_endpoint_auth_method": "none", "grant_types": ["client_credentials"]},
        {"subject_type": "public"},
        {"id_token_signed_response_alg": "none"},
        {"application_type": "toaster"},
        {"scope": "everything"},
        {"redirect_uris": "https://forum.example/callback"},
        {"redirect_uris": ["https://forum.example/a", "https://other.example/b"]},
        {"client_name": "n" * 81},
        {"client_name": "a\u202eb"},
        {"client_name": 7},
    ],
)
async def test_metadata_that_do_not_fit_together_are_refused(
    wire: httpx.AsyncClient, changes: dict[str, object]
) -> None:
    answer = await register(wire, **changes)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_several_hosts_are_one_sector_where_a_document_lists_them(wire: httpx.AsyncClient) -> None:
    uris = ["https://a.example/callback", "https://b.example/callback"]
    async with listening() as receiver:
        receiver.status, receiver.body = 200, msgspec.json.encode([*uris, "https://c.example/"])
        answer = await register(wire, redirect_uris=uris, sector_identifier_uri=f"{receiver.url}/sector")

    assert answer.status_code == 201, answer.text
    assert answer.json()["sector_identifier_uri"] == f"{receiver.url}/sector"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'["https://somebody.example/callback"]'),
        (200, b'{"redirect_uris": ["https://forum.example/callback"]}'),
        (200, b'["https://forum.example/callback"'),
        (200, b'["https://forum.example/callback", 7]'),
        (200, b"[" * 10_000),
        (200, b'["https://forum.example/callback"]' + b" " * 70_000),
        (404, b'["https://forum.example/callback"]'),
        (302, b'["https://forum.example/callback"]'),
    ],
)
async def test_a_sector_belongs_to_whom_its_document_lists(
    wire: httpx.AsyncClient, status: int, body: bytes
) -> None:
    async with listening() as receiver:
        receiver.status, receiver.body = status, body
        answer = await register(wire, sector_identifier_uri=f"{receiver.url}/sector")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


@pytest.mark.parametrize(
    "address", ["http://forum.example/#x", "ftp://forum.example/", "https://[::1", "x", "http://127.0.0.1:9/"]
)
async def test_a_sector_that_cannot_be_read_is_refused(wire: httpx.AsyncClient, address: str) -> None:
    answer = await register(wire, sector_identifier_uri=address)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


@pytest.mark.parametrize("name", ["sector_identifier_uri", "jwks_uri", "backchannel_logout_uri"])
async def test_private_addresses_are_refused_without_a_connection(
    settings: Settings, postbox: Postbox, clock: FixedClock, name: str
) -> None:
    guarded = msgspec.structs.replace(settings, private_targets=False)
    app = create_app(guarded, StripeGateway(guarded), postbox, clock)
    async with (
        listening() as receiver,
        app.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as wire,
    ):
        for address in (receiver.url, "https://10.0.0.1/", "https://[::ffff:127.0.0.1]/"):
            answer = await register(wire, **{name: address})

            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")

    assert not receiver.received


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'{"redirect_uris": [' + b"[" * 30_000,
        b'{"client_name": "\\ud800", "redirect_uris": ["https://forum.example/"]}',
        b'{"client_name": "' + b"n" * 200_000 + b'"}',
        b'{"redirect_uris": ["https://forum.example/"], "redirect_uris": ["https://evil.example/"]}',
        b'{"redirect_uris": ["https://forum.example/"], "jwks": {"keys": [], "keys": []}}',
        b'{"redirect_uris": ' + msgspec.json.encode(["https://forum.example/"] * 21) + b"}",
    ],
)
async def test_a_body_that_cannot_be_used_is_a_clear_refusal(wire: httpx.AsyncClient, body: bytes) -> None:
    answer = await wire.post("/oauth/register", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("invalid_")


async def test_registration_is_closed_outside_a_demo(
    settings: Settings, postbox: Postbox, clock: FixedClock
) -> None:
    real = msgspec.structs.replace(settings, demo=False, issuer="https://members.example")
    app = create_app(real, StripeGateway(real), postbox, clock)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=real.issuer) as wire,
    ):
        answer = await register(wire)
        metadata = (await wire.get("/.well-known/openid-configuration")).json()

    assert (answer.status_code, answer.json()["error"]) == (403, "registration_closed")
    assert "registration_endpoint" not in metadata
