"""The modules of the certification plan "Basic OP", one by one and under their names, as exchanges with our endpoints."""

from datetime import timedelta

import httpx
import pytest

from coop.clock import FixedClock
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.unit_of_work import Units
from tests import people
from tests.protocol.certification import (
    SuiteParty,
    authorized,
    checked_tokens,
    finish,
    refused,
    shown,
    sign_in,
    verified,
    without_pkce,
)
from tests.protocol.relying_party import CHALLENGE, VERIFIER, RelyingParty, answer_of, basic

OPENID = {"scope": "openid"}


@pytest.fixture
async def party(units: Units, party: RelyingParty) -> SuiteParty:
    """Return a client as the suite is one."""
    return await without_pkce(units, party)


@pytest.mark.usefixtures("ada")
async def test_oidcc_server(party: RelyingParty) -> None:
    signed_in = await authorized(party, **OPENID)

    assert signed_in.claims["auth_time"]


@pytest.mark.usefixtures("ada")
async def test_oidcc_response_type_missing(party: RelyingParty) -> None:
    refused(party, await party.authorize(response_type=None), "invalid_request", "unsupported_response_type")


@pytest.mark.usefixtures("ada")
async def test_oidcc_idtoken_signature(party: RelyingParty) -> None:
    signed_in = await authorized(party, **OPENID)

    assert signed_in.header["kid"]


@pytest.mark.usefixtures("ada")
async def test_oidcc_userinfo_get(party: RelyingParty) -> None:
    assert (await authorized(party, **OPENID)).userinfo["sub"]


@pytest.mark.usefixtures("ada")
async def test_oidcc_userinfo_post_header(party: RelyingParty) -> None:
    signed_in = await authorized(party, **OPENID)

    answer = await party.wire.post(
        "/oauth/userinfo", headers={"Authorization": f"Bearer {signed_in.tokens['access_token']}"}
    )

    assert answer.json() == signed_in.userinfo


@pytest.mark.usefixtures("ada")
async def test_oidcc_userinfo_post_body(party: RelyingParty) -> None:
    signed_in = await authorized(party, **OPENID)

    answer = await party.wire.post("/oauth/userinfo", data={"access_token": signed_in.tokens["access_token"]})

    assert answer.json() == signed_in.userinfo


@pytest.mark.usefixtures("ada")
async def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(party: RelyingParty) -> None:
    assert "nonce" not in (await authorized(party, nonce=None, **OPENID)).claims


@pytest.mark.usefixtures("ada")
async def test_oidcc_scope_profile(party: RelyingParty) -> None:
    signed_in = await authorized(party, scope="openid profile")

    assert signed_in.userinfo["preferred_username"]
    assert "email" not in signed_in.userinfo
    # Asked for by scope, they belong into UserInfo (OpenID Connect Core, section 5.4).
    assert "preferred_username" not in signed_in.claims


@pytest.mark.usefixtures("ada")
async def test_oidcc_scope_email(party: RelyingParty) -> None:
    answer = await party.agree(await party.authorize(scope="openid email"), email="yes")
    signed_in = await finish(party, answer)

    assert signed_in.userinfo["email"] == "ada@example.org"
    assert signed_in.userinfo["email_verified"] is True
    assert not {"email", "email_verified"} & signed_in.claims.keys()


@pytest.mark.parametrize("scope", ["openid address", "openid phone", "openid address email phone profile"])
@pytest.mark.usefixtures("ada")
async def test_oidcc_scope_address_phone_all(party: RelyingParty, scope: str) -> None:
    assert not {"address", "phone_number"} & (await authorized(party, scope=scope)).userinfo.keys()


@pytest.mark.usefixtures("ada")
async def test_oidcc_alternate_happy_flow(party: RelyingParty) -> None:
    backwards = dict(reversed(party.parameters(scope="email profile openid").items()))

    await finish(party, await party.http.get("/oauth/authorize", params=backwards))


@pytest.mark.parametrize("display", ["page", "popup"])
@pytest.mark.usefixtures("account")
async def test_oidcc_display_page_popup(party: RelyingParty, display: str) -> None:
    await finish(party, await sign_in(party, await party.authorize(display=display, **OPENID)))


@pytest.mark.usefixtures("account")
async def test_oidcc_prompt_login(party: RelyingParty, clock: FixedClock) -> None:
    first = await finish(party, await sign_in(party, await party.authorize(**OPENID)))
    clock.advance(timedelta(seconds=1))

    second = await finish(party, await sign_in(party, await party.authorize(prompt="login", **OPENID)))

    assert second.claims["auth_time"] > first.claims["auth_time"]
    assert second.claims["sub"] == first.claims["sub"]


async def test_oidcc_prompt_none_not_logged_in(party: RelyingParty) -> None:
    refused(party, await party.authorize(prompt="none", **OPENID), "login_required", "interaction_required")


@pytest.mark.usefixtures("ada")
async def test_oidcc_prompt_none_logged_in(party: RelyingParty, clock: FixedClock) -> None:
    first = await authorized(party, **OPENID)
    clock.advance(timedelta(seconds=1))

    answer = await party.authorize(prompt="none", **OPENID)

    assert answer.status_code == 303
    second = await finish(party, answer)
    assert [second.claims[c] for c in ("sub", "auth_time")] == [first.claims[c] for c in ("sub", "auth_time")]


@pytest.mark.usefixtures("account")
async def test_oidcc_max_age_1(party: RelyingParty, clock: FixedClock) -> None:
    first = await finish(party, await sign_in(party, await party.authorize(**OPENID)))
    clock.advance(timedelta(seconds=2))

    second = await finish(party, await sign_in(party, await party.authorize(max_age="1", **OPENID)))

    assert second.claims["auth_time"] > first.claims["auth_time"]
    assert second.claims["iat"] - second.claims["auth_time"] <= 1


@pytest.mark.usefixtures("ada")
async def test_oidcc_max_age_10000(party: RelyingParty, clock: FixedClock) -> None:
    first = await authorized(party, max_age="15000", **OPENID)
    clock.advance(timedelta(seconds=1))

    second = await finish(party, await party.authorize(max_age="10000", **OPENID))

    assert second.claims["auth_time"] == first.claims["auth_time"]


@pytest.mark.usefixtures("ada")
async def test_oidcc_ensure_request_with_unknown_parameter_succeeds(party: RelyingParty) -> None:
    await authorized(party, extra="foobar", **OPENID)


@pytest.mark.usefixtures("ada")
async def test_oidcc_id_token_hint(party: RelyingParty) -> None:
    first = await authorized(party, **OPENID)

    answer = await party.authorize(prompt="none", id_token_hint=first.tokens["id_token"], **OPENID)

    assert (await finish(party, answer)).claims["sub"] == first.claims["sub"]


@pytest.mark.usefixtures("account")
async def test_oidcc_login_hint(party: RelyingParty) -> None:
    hinted = await party.authorize(login_hint="buffy@relying.example", **OPENID)

    await finish(party, await sign_in(party, hinted))


@pytest.mark.parametrize("wish", [{"ui_locales": "se"}, {"ui_locales": "fr"}, {"claims_locales": "se"}])
@pytest.mark.usefixtures("account")
async def test_oidcc_ui_locales_claims_locales(party: RelyingParty, wish: dict[str, str]) -> None:
    await finish(party, await sign_in(party, await party.authorize(**wish, **OPENID)))


@pytest.mark.usefixtures("ada")
async def test_oidcc_ensure_request_with_acr_values_succeeds(party: RelyingParty) -> None:
    document = (await party.wire.get("/.well-known/openid-configuration")).json()
    wished = document["acr_values_supported"]

    assert (await authorized(party, acr_values=" ".join(wished), **OPENID)).claims["acr"] in wished


@pytest.mark.parametrize("seconds", [0, 30])
@pytest.mark.usefixtures("ada")
async def test_oidcc_codereuse(party: RelyingParty, clock: FixedClock, seconds: int) -> None:
    signed_in = await authorized(party, **OPENID)
    clock.advance(timedelta(seconds=seconds))

    answer = await party.redeem(signed_in.code)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await party.userinfo(signed_in.tokens["access_token"])).status_code == 401


@pytest.mark.usefixtures("ada")
async def test_oidcc_ensure_registered_redirect_uri(party: RelyingParty) -> None:
    shown(await party.authorize(redirect_uri=f"{party.redirect_uri}/4Xw9"))


@pytest.mark.usefixtures("ada")
async def test_oidcc_ensure_post_request_succeeds(party: RelyingParty) -> None:
    posted = await party.http.post("/oauth/authorize", data=party.parameters(**OPENID))

    await finish(party, await party.http.get(posted.headers["location"]))


@pytest.mark.usefixtures("ada")
async def test_oidcc_server_client_secret_post(other: RelyingParty) -> None:
    assert other.auth_method == "client_secret_post"
    await authorized(other, **OPENID)


@pytest.mark.parametrize(
    ("name", "error"), [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")]
)
@pytest.mark.usefixtures("ada")
async def test_oidcc_request_object_and_request_uri_rejected_as_unsupported(
    party: RelyingParty, name: str, error: str
) -> None:
    value = {"request": "eyJhbGciOiJub25lIn0.e30.", "request_uri": "https://relying.example/object.jwt"}
    refused(party, await party.authorize(**{name: value[name]}), error)


@pytest.mark.usefixtures("ada")
async def test_oidcc_refresh_token(party: RelyingParty, other: RelyingParty, clock: FixedClock) -> None:
    asked = {"scope": "openid offline_access", "prompt": "consent"}
    first, second = await authorized(party, **asked), await authorized(other, **asked)
    clock.advance(timedelta(seconds=1))

    answer = await party.refresh(first.tokens["refresh_token"])
    foreign = await party.refresh(second.tokens["refresh_token"])

    refreshed = checked_tokens(answer)
    assert refreshed["access_token"] != first.tokens["access_token"]
    _, claims = await verified(party, refreshed["id_token"], refreshed["access_token"], nonce=None)
    # OpenID Connect Core, section 12.2: whose it is and when they signed in stays; when it was issued does not.
    for kept in ("iss", "sub", "aud", "auth_time"):
        assert claims[kept] == first.claims[kept]
    assert claims["iat"] > first.claims["iat"]
    assert (foreign.status_code, foreign.json()["error"]) == (400, "invalid_grant")
    # What another client tried did no harm.
    assert (await other.refresh(second.tokens["refresh_token"])).status_code == 200


@pytest.mark.usefixtures("ada")
async def test_oidcc_ensure_request_with_valid_pkce_succeeds(party: SuiteParty) -> None:
    challenge = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    code = await party.code(**challenge, **OPENID)
    other = await party.code(**challenge, **OPENID)

    checked_tokens(await party.redeem(code, code_verifier=VERIFIER))

    # A challenge that was sent binds, whether or not it had to be.
    assert (await party.redeem(other)).json()["error"] == "invalid_grant"


async def test_oidcc_claims_essential(party: RelyingParty, units: Units, ada: Account) -> None:
    async with units.open() as work:
        (await accounts.get(work, ada.id)).display_name = "Ada L."
    page = await party.authorize(claims='{"userinfo": {"name": {"essential": true}}}', **OPENID)

    signed_in = await finish(party, await party.agree(page, display_name="yes"))

    assert signed_in.userinfo["name"] == "Ada L."
    assert "name" not in signed_in.claims


@pytest.mark.usefixtures("ada")
async def test_every_refusal_of_the_token_endpoint_is_json(party: RelyingParty) -> None:
    wrong = {"Authorization": basic(party.client_id, "wrong")}

    answer = await party.wire.post("/oauth/token", data={"grant_type": "refresh_token"}, headers=wrong)

    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_a_denial_is_told_to_the_client(party: RelyingParty, ada: Account) -> None:
    del ada
    page = await party.authorize(**OPENID)

    refused(party, await party.agree(page, decision="deny"), "access_denied")


@pytest.fixture
async def account(units: Units) -> Account:
    """Register Ada, who has not signed in yet."""
    return await people.register(units, "ada", email="ada@example.org")


async def test_the_answer_of_userinfo_without_a_token_is_a_challenge(wire: httpx.AsyncClient) -> None:
    answer = await wire.get("/oauth/userinfo")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.usefixtures("ada")
async def test_a_fragment_carries_nothing(party: RelyingParty) -> None:
    answer = await party.agree(await party.authorize(**OPENID))

    assert "#" not in answer.headers["location"]
    assert "code" in answer_of(answer)
