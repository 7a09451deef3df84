"""The modules of the certification plan "Dynamic OP" that ask of what software registers of itself, by name."""

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from coop.authorization.client_assertions import METHOD
from tests.networks.receiver import Receiver, listening
from tests.protocol.certification import authorized, refused, shown
from tests.protocol.reading import read
from tests.protocol.relying_party import RelyingParty, answer_of
from tests.protocol.signing_party import SigningParty, new_key, published

HOME = "https://dynamic.example/callback"
GRANTS = ["authorization_code", "refresh_token"]

pytestmark = pytest.mark.usefixtures("ada", "law")


async def introduced(client: httpx.AsyncClient, wire: httpx.AsyncClient, **metadata: object) -> RelyingParty:
    """Return software that has introduced itself."""
    said = {"redirect_uris": [HOME], "grant_types": GRANTS, "client_name": "Dynamic"} | metadata
    answer = await wire.post("/oauth/register", json=said)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    return RelyingParty(
        client, wire, told["client_id"], told.get("client_secret"), HOME, told["token_endpoint_auth_method"]
    )


@pytest.fixture
async def keys() -> AsyncIterator[Receiver]:
    """Return an address at which a client publishes its keys."""
    async with listening() as receiver:
        receiver.status = 200
        yield receiver


@pytest.fixture
async def signer(client: httpx.AsyncClient, wire: httpx.AsyncClient, keys: Receiver) -> SigningParty:
    """Return software that signs by a key of its own."""
    party = await introduced(
        client, wire, token_endpoint_auth_method=METHOD, jwks_uri=f"{keys.url}/keys", scope="openid"
    )
    signing = SigningParty(
        client, wire, party.client_id, None, HOME, METHOD, {"scope": "openid"}, new_key(), "ES256"
    )
    publish(keys, signing)
    return signing


def publish(keys: Receiver, party: SigningParty) -> None:
    """Let the key of `party` be found at its address."""
    keys.body = msgspec.json.encode(published(party.key))


async def test_oidcc_registration_jwks_uri(signer: SigningParty, keys: Receiver) -> None:
    assert (await signer.redeem(await signer.code())).status_code == 200
    assert len(keys.received) == 1


@pytest.mark.parametrize("kid", ["first", "second"])
async def test_oidcc_refresh_token_rp_key_rotation(signer: SigningParty, keys: Receiver, kid: str) -> None:
    tokens = await signer.tokens()
    signer.key = new_key(kid=kid)
    publish(keys, signer)

    # At once: a suite does not wait, and neither does a client whose key was lost.
    answer = await signer.refresh(tokens["refresh_token"])

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("name", "linked"), [("policy_uri", True), ("tos_uri", True), ("logo_uri", False)])
async def test_oidcc_registration_policy_tos_and_logo_uri(
    client: httpx.AsyncClient, wire: httpx.AsyncClient, name: str, *, linked: bool
) -> None:
    address = f"https://dynamic.example/{name}?a=1&b=2"
    party = await introduced(client, wire, **{name: address})

    page = await party.authorize()

    assert (f'href="{address.replace("&", "&amp;")}"' in page.text) == linked
    # Nothing is loaded from there, or from anywhere else.
    assert "src=" not in page.text.replace('src="/', "")


async def test_oidcc_userinfo_rs256(client: httpx.AsyncClient, wire: httpx.AsyncClient) -> None:
    party = await introduced(client, wire, userinfo_signed_response_alg="RS256")

    answer = await party.userinfo((await party.tokens())["access_token"])

    header, claims = await read(wire, answer.text)
    assert answer.headers["content-type"].startswith("application/jwt")
    assert (header["alg"], claims["aud"]) == ("RS256", party.client_id)


async def test_oidcc_registration_sector_uri(
    client: httpx.AsyncClient, wire: httpx.AsyncClient, keys: Receiver
) -> None:
    keys.body = msgspec.json.encode([HOME, "https://sister.example/callback"])
    sector = f"{keys.url}/sector"
    one = await introduced(client, wire, sector_identifier_uri=sector)
    sister = await introduced(
        client,
        wire,
        redirect_uris=[HOME, "https://sister.example/callback"],
        sector_identifier_uri=sector,
    )
    alone = await introduced(client, wire)

    subjects = [(await authorized(party)).claims["sub"] for party in (one, sister, alone)]

    assert subjects[0] == subjects[1] != subjects[2]


async def test_oidcc_request_object_by_reference_is_rejected(
    client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> None:
    party = await introduced(client, wire, request_uris=["https://dynamic.example/request#hash"])

    answer = await party.authorize(request_uri="https://dynamic.example/request#hash")

    refused(party, answer, "request_uri_not_supported")
    shown(await party.authorize(request_uri="https://dynamic.example/request#hash", redirect_uri=None))


async def test_oidcc_response_type_missing(client: httpx.AsyncClient, wire: httpx.AsyncClient) -> None:
    party = await introduced(client, wire)

    refused(party, await party.authorize(response_type=None), "invalid_request", "unsupported_response_type")
    assert "code" in answer_of(await party.agree(await party.authorize()))
