"""Dynamic registration: RFC 7591; identity.md, refusal 15."""

import httpx
import msgspec
import pytest

from api.app import create_app
from coop.billing.stripe_gateway import StripeGateway
from coop.clock import FixedClock
from coop.settings import Settings
from tests.conftest import Postbox

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
        "https://[::1",
        "",
    ],
)
async def test_an_address_that_is_no_safe_way_back_is_refused(wire: httpx.AsyncClient, uri: str) -> None:
    for field in ("redirect_uris", "post_logout_redirect_uris"):
        answer = await register(wire, **{field: [uri]})

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize(
    "changes",
    [
        {"token_endpoint_auth_method": "private_key_jwt"},
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
