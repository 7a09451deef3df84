"""Answers under our signature: RFC 9701; OpenID Connect Core, section 5.3.2."""

import httpx
import pytest

from coop.authorization import clients, signed_answers
from coop.unit_of_work import Units
from tests.conftest import ISSUER, START
from tests.protocol.reading import read
from tests.protocol.relying_party import RelyingParty, basic


async def introspect(party: RelyingParty, token: str, accept: str) -> httpx.Response:
    """Ask what a token is worth, in the form that `accept` names."""
    headers = {"Authorization": basic(party.client_id, party.secret or ""), "Accept": accept}
    return await party.wire.post("/oauth/introspect", data={"token": token}, headers=headers)


async def prefer(units: Units, party: RelyingParty, **details: object) -> None:
    """Register what the client prefers."""
    async with units.open() as work:
        client = await clients.find(work, party.client_id)
        assert client is not None
        client.details = details


@pytest.mark.usefixtures("ada")
async def test_introspection_is_signed_for_who_asks_for_it(
    party: RelyingParty, wire: httpx.AsyncClient
) -> None:
    access = (await party.tokens())["access_token"]

    answer = await introspect(party, access, signed_answers.INTROSPECTION)

    assert answer.headers["content-type"] == "application/token-introspection+jwt"
    assert answer.headers["cache-control"] == "no-store"
    header, claims = await read(wire, answer.text)
    assert (header["typ"], header["alg"]) == ("token-introspection+jwt", "RS256")
    assert (claims["iss"], claims["aud"], claims["iat"]) == (ISSUER, party.client_id, START.timestamp())
    assert claims["token_introspection"] == await party.introspect(access)
    # Nothing at the top that would make it pass for a token.
    assert not {"sub", "exp"} & set(claims)


async def test_what_is_not_valid_is_said_under_signature_as_well(
    party: RelyingParty, wire: httpx.AsyncClient
) -> None:
    answer = await introspect(party, "unknown", signed_answers.INTROSPECTION)

    assert (await read(wire, answer.text))[1]["token_introspection"] == {"active": False}


async def test_a_client_chooses_the_algorithm(
    party: RelyingParty, units: Units, wire: httpx.AsyncClient
) -> None:
    await prefer(units, party, introspection_signed_response_alg="ES256")

    answer = await introspect(party, "unknown", f"application/json;q=0.5, {signed_answers.INTROSPECTION}")

    assert (await read(wire, answer.text))[0]["alg"] == "ES256"


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/*", f"{signed_answers.INTROSPECTION};q=0.0", ""]
)
async def test_everybody_else_gets_json(party: RelyingParty, accept: str) -> None:
    assert (await introspect(party, "unknown", accept)).json() == {"active": False}


async def test_an_error_stays_json(party: RelyingParty) -> None:
    party.secret = "wrong"

    answer = await introspect(party, "unknown", signed_answers.INTROSPECTION)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.usefixtures("ada")
async def test_userinfo_is_signed_for_a_client_that_registered_it(
    party: RelyingParty, units: Units, wire: httpx.AsyncClient
) -> None:
    access = (await party.tokens())["access_token"]
    plain = (await party.userinfo(access)).json()
    await prefer(units, party, userinfo_signed_response_alg="ES256")

    answer = await party.userinfo(access)

    assert answer.headers["content-type"] == "application/jwt"
    header, claims = await read(wire, answer.text)
    assert header["alg"] == "ES256"
    assert claims == plain | {"iss": ISSUER, "aud": party.client_id}
