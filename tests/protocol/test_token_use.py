"""What an access token opens and how it is taken back: RFC 6750, 7662 and 7009; identity.md, refusals 10 and 15."""

from datetime import timedelta

import httpx
import pytest

from coop.clock import FixedClock
from tests.protocol.relying_party import RelyingParty

pytestmark = pytest.mark.usefixtures("ada")


async def test_userinfo_without_a_token_names_the_scheme_only(wire: httpx.AsyncClient) -> None:
    answer = await wire.get("/oauth/userinfo")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="coop"'
    assert answer.json() == {}


@pytest.mark.parametrize("token", ["unknown", "coop_at_unknown", "x" * 5000, ""])
async def test_an_unknown_token_is_an_invalid_token(party: RelyingParty, token: str) -> None:
    answer = await party.userinfo(token)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


async def test_a_token_in_the_address_is_refused(party: RelyingParty, wire: httpx.AsyncClient) -> None:
    tokens = await party.tokens()

    answer = await wire.get("/oauth/userinfo", params={"access_token": tokens["access_token"]})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.headers["www-authenticate"].startswith('Bearer realm="coop", error="invalid_request"')


async def test_a_token_comes_in_one_header(party: RelyingParty, wire: httpx.AsyncClient) -> None:
    token = (await party.tokens())["access_token"]

    for second in (token, "coop_at_x"):
        headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {second}")]
        answer = await wire.get("/oauth/userinfo", headers=headers)

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_token_may_come_in_a_form(party: RelyingParty, wire: httpx.AsyncClient) -> None:
    tokens = await party.tokens()
    form = {"access_token": tokens["access_token"]}

    alone = await wire.post("/oauth/userinfo", data=form)
    doubled = await wire.post(
        "/oauth/userinfo", data=form, headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )

    assert alone.status_code == 200
    assert doubled.status_code == 400


async def test_a_token_without_openid_is_not_enough(party: RelyingParty) -> None:
    tokens = await party.tokens(scope="profile")

    answer = await party.userinfo(tokens["access_token"])

    assert answer.status_code == 403
    assert "insufficient_scope" in answer.headers["www-authenticate"]
    assert "id_token" not in tokens


async def test_an_access_token_lives_an_hour(party: RelyingParty, clock: FixedClock) -> None:
    tokens = await party.tokens()
    clock.advance(timedelta(seconds=3601))

    assert (await party.userinfo(tokens["access_token"])).status_code == 401
    assert await party.introspect(tokens["access_token"]) == {"active": False}


async def test_introspection_tells_the_issuing_client(party: RelyingParty) -> None:
    tokens = await party.tokens()

    told = await party.introspect(tokens["access_token"])

    assert told["active"] is True
    assert told["client_id"] == party.client_id
    assert told["scope"] == tokens["scope"]
    assert told["sub"] == (await party.userinfo(tokens["access_token"])).json()["sub"]
    assert told["membership"] == "none"


async def test_introspection_knows_refresh_tokens(party: RelyingParty) -> None:
    tokens = await party.tokens()

    assert (await party.introspect(tokens["refresh_token"]))["active"] is True


async def test_introspection_tells_another_client_nothing(party: RelyingParty, other: RelyingParty) -> None:
    tokens = await party.tokens()

    assert await other.introspect(tokens["access_token"]) == {"active": False}
    assert await other.introspect(tokens["refresh_token"]) == {"active": False}
    assert await other.introspect("unknown") == {"active": False}


async def test_introspection_needs_a_client_with_a_secret(
    party: RelyingParty, phone: RelyingParty, wire: httpx.AsyncClient
) -> None:
    tokens = await party.tokens()

    nobody = await wire.post("/oauth/introspect", data={"token": tokens["access_token"]})
    public = await phone.post("/oauth/introspect", token=tokens["access_token"])

    for answer in (nobody, public):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_introspection_without_a_token_is_an_invalid_request(party: RelyingParty) -> None:
    assert (await party.introspect(""))["error"] == "invalid_request"


async def test_a_revoked_access_token_dies_alone(party: RelyingParty) -> None:
    tokens = await party.tokens()

    answer = await party.post("/oauth/revoke", token=tokens["access_token"])

    assert answer.status_code == 200
    assert (await party.userinfo(tokens["access_token"])).status_code == 401
    assert (await party.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_revoked_refresh_token_takes_its_family_along(party: RelyingParty) -> None:
    tokens = await party.tokens()

    await party.post("/oauth/revoke", token=tokens["refresh_token"], token_type_hint="access_token")

    assert (await party.userinfo(tokens["access_token"])).status_code == 401
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_another_client_cannot_revoke(party: RelyingParty, other: RelyingParty) -> None:
    tokens = await party.tokens()

    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await other.post("/oauth/revoke", token=token)).status_code == 400
    assert (await party.userinfo(tokens["access_token"])).status_code == 200


async def test_what_is_unknown_needs_no_revoking(party: RelyingParty) -> None:
    assert (await party.post("/oauth/revoke", token="unknown")).status_code == 200


async def test_a_public_client_revokes_its_own_tokens(phone: RelyingParty) -> None:
    tokens = await phone.tokens()

    assert (await phone.post("/oauth/revoke", token=tokens["refresh_token"])).status_code == 200
    assert (await phone.userinfo(tokens["access_token"])).status_code == 401
