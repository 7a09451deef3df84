"""The authorization code and PKCE: RFC 6749, sections 4.1 and 10; RFC 7636; identity.md, refusals 2 to 5."""

import asyncio
import base64
import hashlib

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from coop.identity.accounts import Account
from tests.conftest import ISSUER
from tests.protocol.relying_party import RelyingParty, answer_of


@pytest.mark.usefixtures("ada")
async def test_a_member_comes_back_with_a_code_the_state_and_the_issuer(party: RelyingParty) -> None:
    answer = await party.agree(await party.authorize())

    told = answer_of(answer)
    assert answer.headers["location"].startswith("https://lantern.example/callback?")
    assert told["state"] == "a state"
    assert told["iss"] == ISSUER
    assert told["code"].startswith("coop_ac_")


@pytest.mark.usefixtures("ada")
async def test_a_code_becomes_tokens_that_nobody_stores(party: RelyingParty) -> None:
    answer = await party.redeem(await party.code())

    told = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert told["token_type"] == "Bearer"
    assert told["expires_in"] == 3600
    assert told["access_token"].startswith("coop_at_")
    assert told["refresh_token"].startswith("coop_rt_")
    assert told["scope"] == "openid profile email offline_access"


@pytest.mark.usefixtures("ada")
async def test_the_id_token_says_who_signed_in_where_and_when(
    party: RelyingParty, wire: httpx.AsyncClient
) -> None:
    tokens = await party.tokens()

    keys = KeySet.import_key_set((await wire.get("/oauth/jwks")).json())
    token = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"])
    userinfo = (await party.userinfo(tokens["access_token"])).json()
    assert token.claims["iss"] == ISSUER
    assert token.claims["aud"] == party.client_id
    assert token.claims["nonce"] == "a nonce"
    assert token.claims["sub"] == userinfo["sub"]
    assert token.claims["membership"] == "none"
    assert token.claims["auth_time"] <= token.claims["iat"] < token.claims["exp"]
    assert token.claims["acr"] == "aal1"


@pytest.mark.parametrize(
    "verifier", ["guessed", "v" * 42, "v" * 129, "v" * 42 + "+", "v" * 42 + "é", "v " * 30]
)
@pytest.mark.usefixtures("ada")
async def test_a_verifier_that_is_none_is_refused_though_it_answers(
    party: RelyingParty, verifier: str
) -> None:
    # RFC 7636, section 4.1: 43 to 128 of the unreserved characters.
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

    answer = await party.redeem(await party.code(code_challenge=challenge), code_verifier=verifier)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("verifier", ["v" * 43, "~._-" * 32])
@pytest.mark.usefixtures("ada")
async def test_a_verifier_of_any_length_that_is_one_is_accepted(party: RelyingParty, verifier: str) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

    answer = await party.redeem(await party.code(code_challenge=challenge), code_verifier=verifier)

    assert answer.status_code == 200


@pytest.mark.usefixtures("ada")
async def test_a_wrong_verifier_is_refused(party: RelyingParty) -> None:
    answer = await party.redeem(await party.code(), code_verifier="wrong")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.usefixtures("ada")
async def test_a_missing_verifier_is_refused(party: RelyingParty) -> None:
    answer = await party.redeem(await party.code(), code_verifier=None)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "too-short"},
    ],
)
@pytest.mark.usefixtures("ada")
async def test_a_request_without_s256_goes_back_as_an_error(
    phone: RelyingParty, changes: dict[str, str | None]
) -> None:
    told = answer_of(await phone.authorize(**changes))

    assert told["error"] == "invalid_request"
    assert told["state"] == "a state"


@pytest.mark.usefixtures("ada")
async def test_a_code_used_twice_takes_its_tokens_down(party: RelyingParty) -> None:
    code = await party.code()
    tokens = (await party.redeem(code)).json()

    again = await party.redeem(code)

    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await party.userinfo(tokens["access_token"])).status_code == 401
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.usefixtures("ada")
async def test_of_twenty_that_redeem_one_code_at_once_one_succeeds_at_most(party: RelyingParty) -> None:
    code = await party.code()

    answers = await asyncio.gather(*(party.redeem(code) for _ in range(20)))

    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) <= 1
    assert set(statuses) <= {200, 400}


@pytest.mark.usefixtures("ada")
async def test_another_clients_code_is_refused(party: RelyingParty, other: RelyingParty) -> None:
    code = await party.code()

    stolen = await other.redeem(code, redirect_uri=party.redirect_uri)

    assert stolen.json()["error"] == "invalid_grant"
    assert (await party.redeem(code)).status_code == 200


@pytest.mark.usefixtures("ada")
async def test_a_code_goes_with_the_redirect_uri_it_was_sent_to(party: RelyingParty) -> None:
    code = await party.code()

    for wrong in ("https://lantern.example/elsewhere", None):
        assert (await party.redeem(code, redirect_uri=wrong)).json()["error"] == "invalid_grant"


@pytest.mark.usefixtures("ada")
async def test_a_public_client_redeems_with_its_verifier_alone(phone: RelyingParty) -> None:
    tokens = await phone.tokens()

    assert "id_token" in tokens


async def test_subjects_and_names_differ_between_networks(
    party: RelyingParty, other: RelyingParty, ada: Account
) -> None:
    here = (await party.userinfo((await party.tokens())["access_token"])).json()
    there = (await other.userinfo((await other.tokens())["access_token"])).json()

    assert here["sub"] != there["sub"]
    assert here["preferred_username"] != there["preferred_username"]
    assert ada.handle not in {here["preferred_username"], there["preferred_username"]}
