"""What each module of the OpenID Foundation's certification plans does around its one question: a whole sign-in, checked.

The modules are named as in the plans; what is looked at was learnt from the suite's documentation and sources, and is
said here in our own words.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

import httpx
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from coop.authorization import clients
from coop.unit_of_work import Units
from tests import people
from tests.conftest import ISSUER
from tests.protocol.relying_party import Form, RelyingParty, answer_of

# RFC 6749, section 4.1.2.1: what may stand in an error's description.
_DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")
_ALGORITHMS = ["ES256", "RS256", "EdDSA"]

Claims = dict[str, object]


class SuiteParty(RelyingParty):
    """A client as the suite is one: it sends no PKCE unless a module is about it, which a steward waived for it."""

    def parameters(self, **changes: str | None) -> dict[str, str]:
        """Return a request without a challenge."""
        return super().parameters(**({"code_challenge": None, "code_challenge_method": None} | changes))

    async def redeem(self, code: str, **changes: str | None) -> httpx.Response:
        """Redeem a code without a verifier."""
        return await super().redeem(code, **({"code_verifier": None} | changes))


async def without_pkce(units: Units, party: RelyingParty) -> SuiteParty:
    """Waive PKCE, and the nonce with it, for a client of a network."""
    async with units.open() as work:
        client = await clients.find(work, party.client_id)
        assert client is not None
        clients.waive_pkce(client, requires_nonce=False)
    return SuiteParty(
        party.http, party.wire, party.client_id, party.secret, party.redirect_uri, party.auth_method
    )


@dataclass
class SignedIn:
    """What a relying party holds after a sign-in in which nothing was wrong."""

    tokens: dict[str, str]
    header: dict[str, object]
    claims: Claims
    userinfo: Claims
    code: str


async def sign_in(party: RelyingParty, answer: httpx.Response, handle: str = "ada") -> httpx.Response:
    """Fill in the sign-in page that the browser was sent to, and follow on to the authorization endpoint."""
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith("/sign-in?"), answer.headers["location"]
    page = await party.http.get(answer.headers["location"])
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    typed = Form(page.text, "/sign-in").fields | {"name": handle, "password": people.PASSWORD}
    answer = await party.http.post("/sign-in", data=typed)
    assert answer.status_code == 303, answer.text
    return await party.http.get(answer.headers["location"])


async def finish(
    party: RelyingParty, answer: httpx.Response, *, nonce: str | None = "a nonce", state: str = "a state"
) -> SignedIn:
    """Go from what the authorization endpoint answered to verified tokens and claims."""
    if answer.status_code == 200:
        answer = await party.agree(answer)
    assert answer.headers["location"].startswith(party.redirect_uri)
    told = answer_of(answer)
    # Nothing unexpected comes back, and the issuer says who it is (RFC 9207).
    assert told.keys() - {"a", "b"} == {"code", "state", "iss"}
    assert (told["state"], told["iss"]) == (state, ISSUER)
    redeemed = await party.redeem(told["code"])
    tokens = checked_tokens(redeemed)
    header, claims = await verified(party, tokens["id_token"], tokens["access_token"], nonce=nonce)
    userinfo = await party.userinfo(tokens["access_token"])
    assert userinfo.status_code == 200
    assert userinfo.headers["content-type"].startswith("application/json")
    assert userinfo.json()["sub"] == claims["sub"]
    return SignedIn(tokens, header, claims, userinfo.json(), told["code"])


async def authorized(party: RelyingParty, **changes: str | None) -> SignedIn:
    """Sign in as whoever is signed in in the browser."""
    return await finish(party, await party.authorize(**changes), nonce=changes.get("nonce", "a nonce"))


def checked_tokens(answer: httpx.Response) -> dict[str, str]:
    """Return the tokens of an answer that is as RFC 6749, section 5.1 has it."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    tokens: dict[str, str] = answer.json()
    assert tokens["token_type"].lower() == "bearer"
    assert re.fullmatch(r"[\x20-\x7e]+", tokens["access_token"])
    assert int(tokens["expires_in"]) > 0
    return tokens


async def verified(
    party: RelyingParty, id_token: str, access_token: str, *, nonce: str | None
) -> tuple[dict[str, object], Claims]:
    """Return header and claims of an ID Token that passes section 3.1.3.7 of OpenID Connect Core."""
    published = (await party.wire.get("/oauth/jwks")).json()
    token = jwt.decode(id_token, KeySet.import_key_set(published), algorithms=_ALGORITHMS)
    claims = token.claims
    assert token.header["kid"] in {key["kid"] for key in published["keys"]}
    assert claims["iss"] == ISSUER
    assert claims["aud"] == party.client_id
    assert claims["exp"] > claims["iat"]
    assert isinstance(claims["sub"], str)
    assert 0 < len(claims["sub"]) <= 255
    assert claims["sub"].isascii()
    assert claims.get("nonce") == nonce
    digest = hashlib.sha512 if token.header["alg"] == "EdDSA" else hashlib.sha256
    half = digest(access_token.encode()).digest()
    half = half[: len(half) // 2]
    assert claims["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    return dict(token.header), dict(claims)


def refused(party: RelyingParty, answer: httpx.Response, *errors: str, state: str = "a state") -> None:
    """Check that the client is told of one of `errors`, as section 3.1.2.6 of OpenID Connect Core has it."""
    assert answer.headers["location"].startswith(party.redirect_uri)
    told = answer_of(answer)
    assert told["error"] in errors
    assert "code" not in told
    assert (told["state"], told["iss"]) == (state, ISSUER)
    assert _DESCRIPTION.fullmatch(told.get("error_description", ""))


def shown(answer: httpx.Response) -> None:
    """Check that the person sees a page that says what is wrong, and is sent nowhere."""
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


def unsigned(id_token: str) -> str:
    """Return an ID Token whose signature was taken off."""
    claims = jws.extract_compact(id_token.encode()).payload
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{header}.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}."
