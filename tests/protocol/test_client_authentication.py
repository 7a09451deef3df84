"""How clients prove themselves: RFC 6749, section 2.3; identity.md, refusals 6, 9 and 10."""

import httpx
import pytest

from tests.protocol.relying_party import RelyingParty, basic

CLIENT_CREDENTIALS = {"grant_type": "client_credentials"}


async def test_a_wrong_secret_is_told_how_to_authenticate(party: RelyingParty) -> None:
    party.secret = "coop_cs_wrong"

    answer = await party.token(**CLIENT_CREDENTIALS)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    # The scheme requires a realm (RFC 7617, section 2).
    assert answer.headers["www-authenticate"] == 'Basic realm="coop", error="invalid_client"'
    assert answer.headers["cache-control"] == "no-store"


async def test_two_methods_at_once_are_refused(party: RelyingParty) -> None:
    answer = await party.token(**CLIENT_CREDENTIALS, client_id=party.client_id, client_secret=party.secret)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_client_uses_the_method_that_it_is_registered_for(
    party: RelyingParty, other: RelyingParty
) -> None:
    party.auth_method, other.auth_method = other.auth_method, party.auth_method

    for wrong in (party, other):
        assert (await wrong.token(**CLIENT_CREDENTIALS)).json()["error"] == "invalid_client"


async def test_a_confidential_client_without_its_secret_is_refused(party: RelyingParty) -> None:
    party.auth_method, party.secret = "none", None

    assert (await party.token(**CLIENT_CREDENTIALS)).status_code == 401


async def test_a_public_client_has_no_credentials_to_act_by(phone: RelyingParty) -> None:
    answer = await phone.token(**CLIENT_CREDENTIALS)

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Basic /w==", "Basic bm8tY29sb24=", "Bearer coop_at_x", "Basic AA==", "\x7f"],
)
async def test_a_header_that_cannot_be_read_is_refused(wire: httpx.AsyncClient, header: str) -> None:
    answer = await wire.post("/oauth/token", data=CLIENT_CREDENTIALS, headers={"Authorization": header})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_client_acts_in_its_own_name(party: RelyingParty) -> None:
    told = (await party.token(**CLIENT_CREDENTIALS, scope="entitlements")).json()

    assert told["scope"] == "entitlements"
    assert "refresh_token" not in told
    assert "id_token" not in told


async def test_what_only_people_can_grant_is_left_out(party: RelyingParty) -> None:
    told = (await party.token(**CLIENT_CREDENTIALS)).json()

    assert told["scope"] == "entitlements"


async def test_a_scope_that_the_client_does_not_have_is_refused(party: RelyingParty) -> None:
    answer = await party.token(**CLIENT_CREDENTIALS, scope="everything")

    assert answer.json()["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "grant_type", ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code"]
)
async def test_other_grants_are_not_supported(party: RelyingParty, grant_type: str) -> None:
    answer = await party.token(grant_type=grant_type, username="ada", password="secret")

    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


async def test_a_missing_grant_type_is_named(party: RelyingParty) -> None:
    assert (await party.token()).json()["error"] == "invalid_request"


async def test_the_token_endpoint_only_takes_post(wire: httpx.AsyncClient) -> None:
    answer = await wire.get("/oauth/token")

    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


async def test_parameters_in_the_address_are_refused(party: RelyingParty, wire: httpx.AsyncClient) -> None:
    answer = await wire.post(
        "/oauth/token?grant_type=client_credentials",
        headers={
            "Authorization": basic(party.client_id, party.secret or ""),
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff%fe", "application/x-www-form-urlencoded"),
        (b"grant_type=\xff", "application/x-www-form-urlencoded"),
        (b"grant_type=%00", "application/x-www-form-urlencoded"),
        (b"grant_type=" + b"a" * 70_000, "application/x-www-form-urlencoded"),
        (b"grant_type=" + b"a" * 2_000_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(20_000)), "application/x-www-form-urlencoded"),
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"[" * 50_000, "application/json"),
        (b"", ""),
    ],
)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
async def test_a_body_that_cannot_be_read_is_an_invalid_request(
    wire: httpx.AsyncClient, path: str, body: bytes, content_type: str
) -> None:
    answer = await wire.post(path, content=body, headers={"Content-Type": content_type})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
async def test_two_headers_are_two_ways_of_authenticating(party: RelyingParty, path: str) -> None:
    proof = basic(party.client_id, party.secret or "")

    for second in (proof, basic(party.client_id, "wrong"), "Bearer coop_at_x"):
        answer = await party.wire.post(
            path,
            data=CLIENT_CREDENTIALS | {"token": "x"},
            headers=[("Authorization", proof), ("Authorization", second)],
        )

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
