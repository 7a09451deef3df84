"""Clients that sign: RFC 7523, section 2.2; OpenID Connect Core, section 9; identity.md, refusals 6 and 14."""

import anyio
import httpx
import msgspec
import pytest

from coop.authorization import client_assertions, client_keys
from coop.unit_of_work import Units
from tests.conftest import ISSUER
from tests.networks.receiver import listening
from tests.protocol.relying_party import RelyingParty
from tests.protocol.signing_party import SigningParty, new_key, published, register_signing

CLIENT_CREDENTIALS = {"grant_type": "client_credentials"}


@pytest.fixture
async def signer(law: None, units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient) -> SigningParty:
    del law
    return await register_signing(units, client, wire)


@pytest.mark.parametrize("algorithm", client_keys.ALGORITHMS)
@pytest.mark.usefixtures("law")
async def test_a_signature_opens_the_token_endpoint(
    units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient, algorithm: str
) -> None:
    signer = await register_signing(units, client, wire, algorithm=algorithm)

    answer = await signer.token(**CLIENT_CREDENTIALS)

    assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("ada")
async def test_a_client_that_signs_does_everything_that_others_do(signer: SigningParty) -> None:
    tokens = await signer.tokens()

    refreshed = (await signer.refresh(tokens["refresh_token"])).json()
    assert (await signer.introspect(refreshed["access_token"]))["active"] is True
    assert (await signer.post("/oauth/revoke", token=refreshed["refresh_token"])).status_code == 200
    assert (await signer.introspect(refreshed["access_token"])) == {"active": False}


@pytest.mark.parametrize("audience", [ISSUER, f"{ISSUER}/oauth/token", [ISSUER, "https://elsewhere.example"]])
async def test_issuer_and_token_endpoint_are_good_audiences(signer: SigningParty, audience: object) -> None:
    answer = await signer.token(**CLIENT_CREDENTIALS, client_assertion=signer.assertion(aud=audience))

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
async def test_a_bad_assertion_is_told_how_to_authenticate(signer: SigningParty, path: str) -> None:
    answer = await signer.post(
        path,
        **CLIENT_CREDENTIALS,
        token="x",
        client_assertion=signer.assertion(aud="https://elsewhere.example"),
    )

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert answer.headers["cache-control"] == "no-store"


async def test_an_assertion_counts_once(signer: SigningParty) -> None:
    assertion = signer.assertion()

    first = await signer.token(**CLIENT_CREDENTIALS, client_assertion=assertion)
    second = await signer.token(**CLIENT_CREDENTIALS, client_assertion=assertion)
    elsewhere = await signer.post("/oauth/introspect", token="x", client_assertion=assertion)

    assert first.status_code == 200
    assert second.json()["error"] == elsewhere.json()["error"] == "invalid_client"


async def test_a_refused_grant_uses_the_assertion_up_as_well(signer: SigningParty) -> None:
    assertion = signer.assertion()
    refused = await signer.redeem("coop_ac_unknown", client_assertion=assertion)

    again = await signer.token(**CLIENT_CREDENTIALS, client_assertion=assertion)

    assert refused.json()["error"] == "invalid_grant"
    assert again.json()["error"] == "invalid_client"


async def test_of_twenty_at_once_one_passes(signer: SigningParty) -> None:
    assertion = signer.assertion()
    statuses: list[int] = []

    async def present() -> None:
        statuses.append((await signer.token(**CLIENT_CREDENTIALS, client_assertion=assertion)).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(present)

    assert sorted(statuses) == [200] + [401] * 19


async def test_a_signing_client_has_no_other_way_in(signer: SigningParty, wire: httpx.AsyncClient) -> None:
    for proof in ({"client_id": signer.client_id}, {"client_id": signer.client_id, "client_secret": ""}):
        answer = await wire.post("/oauth/token", data=CLIENT_CREDENTIALS | proof)

        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_two_methods_at_once_are_refused(signer: SigningParty) -> None:
    answer = await signer.token(**CLIENT_CREDENTIALS, client_secret="coop_cs_x")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_client_with_a_secret_does_not_sign(party: RelyingParty, signer: SigningParty) -> None:
    assertion = signer.assertion(iss=party.client_id, sub=party.client_id)

    answer = await signer.token(**CLIENT_CREDENTIALS, client_assertion=assertion)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_one_client_cannot_speak_for_another(signer: SigningParty, other: RelyingParty) -> None:
    answer = await signer.token(**CLIENT_CREDENTIALS, client_id=other.client_id)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("missing", ["client_assertion", "client_assertion_type"])
async def test_half_an_assertion_is_an_invalid_request(signer: SigningParty, missing: str) -> None:
    answer = await signer.token(**CLIENT_CREDENTIALS, **{missing: None})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_another_type_of_assertion_is_not_understood(signer: SigningParty) -> None:
    saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"

    answer = await signer.token(**CLIENT_CREDENTIALS, client_assertion_type=saml)

    assert (answer.status_code, answer.json()["error"]) == (401, client_assertions.InvalidClient.code)


@pytest.mark.usefixtures("law")
async def test_published_keys_are_fetched(
    units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> None:
    key = new_key()
    async with listening() as receiver:
        receiver.status, receiver.body = 200, msgspec.json.encode(published(key))
        signer = await register_signing(units, client, wire, key=key, jwks_uri=f"{receiver.url}/keys")

        answer = await signer.token(**CLIENT_CREDENTIALS)

    assert answer.status_code == 200, answer.text
    assert len(receiver.received) == 1
