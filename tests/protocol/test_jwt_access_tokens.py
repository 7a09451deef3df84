"""Access tokens that services read by themselves: RFC 9068."""

from datetime import timedelta

import httpx
import pytest

from coop.authorization import clients
from coop.clock import FixedClock
from coop.unit_of_work import Units
from tests.conftest import ISSUER, START
from tests.protocol.reading import read
from tests.protocol.relying_party import RelyingParty


@pytest.fixture
async def reader(party: RelyingParty, units: Units) -> RelyingParty:
    """Return a client whose services read access tokens."""
    async with units.open() as work:
        client = await clients.find(work, party.client_id)
        assert client is not None
        client.access_token_format = "jwt"
    return party


@pytest.mark.usefixtures("ada")
async def test_a_members_token_says_what_a_service_needs_to_know(
    reader: RelyingParty, wire: httpx.AsyncClient
) -> None:
    tokens = await reader.tokens(scope="openid profile")

    header, claims = await read(wire, tokens["access_token"])

    _, id_token = await read(wire, tokens["id_token"])
    assert header["typ"] == "at+jwt"
    assert (claims["iss"], claims["aud"], claims["client_id"]) == (ISSUER, ISSUER, reader.client_id)
    assert claims["sub"] == id_token["sub"]
    assert (claims["auth_time"], claims["acr"]) == (id_token["auth_time"], id_token["acr"])
    assert (claims["groups"], claims["entitlements"]) == (id_token["groups"], id_token["entitlements"])
    assert claims["scope"] == "openid profile"
    assert claims["exp"] == int(START.timestamp()) + 300
    assert tokens["expires_in"] == 300


async def test_a_client_in_its_own_name_is_its_own_subject(
    reader: RelyingParty, wire: httpx.AsyncClient
) -> None:
    told = (await reader.token(grant_type="client_credentials", scope="entitlements")).json()

    _, claims = await read(wire, told["access_token"])

    assert claims["sub"] == claims["client_id"] == reader.client_id
    assert claims["scope"] == "entitlements"
    assert not {"auth_time", "acr", "groups"} & set(claims)


@pytest.mark.usefixtures("ada")
async def test_no_two_tokens_are_the_same(reader: RelyingParty, wire: httpx.AsyncClient) -> None:
    tokens = await reader.tokens()

    refreshed = (await reader.refresh(tokens["refresh_token"])).json()

    first, second = [(await read(wire, t["access_token"]))[1]["jti"] for t in (tokens, refreshed)]
    assert first != second


@pytest.mark.usefixtures("ada")
async def test_it_opens_what_an_opaque_one_opens_until_it_is_taken_back(
    reader: RelyingParty, clock: FixedClock
) -> None:
    tokens = await reader.tokens()
    access = tokens["access_token"]
    assert (await reader.userinfo(access)).status_code == 200
    assert (await reader.introspect(access))["active"] is True

    await reader.post("/oauth/revoke", token=access)
    assert (await reader.userinfo(access)).status_code == 401
    assert await reader.introspect(access) == {"active": False}

    fresh = (await reader.refresh(tokens["refresh_token"])).json()["access_token"]
    clock.advance(timedelta(minutes=5))
    assert (await reader.userinfo(fresh)).status_code == 401


@pytest.mark.usefixtures("ada")
async def test_it_is_no_id_token(reader: RelyingParty) -> None:
    access = (await reader.tokens())["access_token"]

    answer = await reader.authorize(prompt="none", id_token_hint=access)

    assert "error=invalid_request" in answer.headers["location"]


@pytest.mark.usefixtures("ada")
async def test_introspection_says_what_the_token_says_of_itself(
    reader: RelyingParty, wire: httpx.AsyncClient
) -> None:
    own = (await reader.token(grant_type="client_credentials", scope="entitlements")).json()
    members = await reader.tokens(scope="openid profile")

    for told in (own, members):
        _, claims = await read(wire, told["access_token"])
        answer = await reader.introspect(told["access_token"])

        same = {"iss", "sub", "aud", "client_id", "scope", "iat", "exp"}
        assert {name: answer[name] for name in same} == {name: claims[name] for name in same}
