"""The modules of the certification plan "Config OP", and those of "Dynamic OP" that ask of redirect URIs, by name."""

from urllib.parse import urlsplit

import httpx
import pytest

from coop.unit_of_work import Units
from tests.conftest import ISSUER
from tests.protocol.certification import authorized, shown
from tests.protocol.relying_party import RelyingParty, register

HOME = "https://query.example/callback?a=1&b=2"


async def document_of(wire: httpx.AsyncClient) -> dict[str, object]:
    """Return the discovery document."""
    answer = await wire.get("/.well-known/openid-configuration")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    told: dict[str, object] = answer.json()
    return told


async def test_oidcc_discovery_endpoint_verification(wire: httpx.AsyncClient) -> None:
    told = await document_of(wire)

    assert told["issuer"] == ISSUER
    for name, value in told.items():
        if name.endswith(("_endpoint", "_uri")):
            assert str(value).startswith(f"{ISSUER}/"), name
            assert not urlsplit(str(value)).fragment
        if name.endswith(("_supported",)) and name.partition("_")[0] not in {"claims", "request"}:
            assert isinstance(value, list | bool), name
            assert value != [], f"{name}: what holds nothing is left out (RFC 8414, section 3.2)"
    assert "code" in told["response_types_supported"]
    assert "RS256" in told["id_token_signing_alg_values_supported"]
    assert "none" not in told["id_token_signing_alg_values_supported"]
    assert set(told["subject_types_supported"]) <= {"pairwise", "public"}
    assert "openid" in told["scopes_supported"]
    assert "authorization_code" in told["grant_types_supported"]
    assert "sub" in told["claims_supported"]
    assert told["code_challenge_methods_supported"] == ["S256"]


async def test_the_keys_of_the_config_plan(wire: httpx.AsyncClient) -> None:
    told = await document_of(wire)
    keys = (await wire.get(urlsplit(str(told["jwks_uri"])).path)).json()["keys"]

    assert len({key["kid"] for key in keys}) == len(keys)
    # Every algorithm that is offered has its key, and RSA keys are no weaker than 2048 bits.
    assert {key["alg"] for key in keys} == set(told["id_token_signing_alg_values_supported"])
    for key in keys:
        assert key["kty"] != "RSA" or len(key["n"]) * 6 >= 2048


@pytest.fixture
async def queried(
    law: None, units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> RelyingParty:
    """Return a client whose redirect URI has a query."""
    del law
    return await register(units, client, wire, host="query.example", redirect_uri=HOME)


@pytest.mark.usefixtures("ada")
async def test_oidcc_redirect_uri_query_ok(queried: RelyingParty) -> None:
    await authorized(queried)


@pytest.mark.parametrize(
    "uri", ["https://query.example/callback", HOME.replace("b=2", "b=3"), HOME.replace("a=1&b=2", "b=2&a=1")]
)
@pytest.mark.usefixtures("ada")
async def test_oidcc_redirect_uri_query_mismatch(queried: RelyingParty, uri: str) -> None:
    shown(await queried.authorize(redirect_uri=uri))


@pytest.mark.usefixtures("ada")
async def test_oidcc_redirect_uri_query_added(party: RelyingParty) -> None:
    shown(await party.authorize(redirect_uri=f"{party.redirect_uri}?foo=bar"))


@pytest.mark.usefixtures("ada")
async def test_oidcc_ensure_redirect_uri_in_authorization_request(
    law: None, units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> None:
    del law
    party = await register(
        units, client, wire, host="two.example", more_uris=["https://two.example/callback2"]
    )

    shown(await party.authorize(redirect_uri=None))


async def test_oidcc_redirect_uri_regfrag(wire: httpx.AsyncClient) -> None:
    answer = await wire.post("/oauth/register", json={"redirect_uris": ["https://frag.example/callback#foo"]})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.usefixtures("ada")
async def test_oidcc_idtoken_rs256_and_the_other_two(
    law: None, units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient, algorithm: str
) -> None:
    del law
    party = await register(units, client, wire, host="signed.example", id_token_algorithm=algorithm)

    assert (await authorized(party)).header["alg"] == algorithm


async def test_oidcc_idtoken_unsigned_is_not_offered(wire: httpx.AsyncClient) -> None:
    answer = await wire.post(
        "/oauth/register",
        json={"redirect_uris": ["https://none.example/callback"], "id_token_signed_response_alg": "none"},
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
