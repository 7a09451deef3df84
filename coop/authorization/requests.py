"""Authorization requests: read and judged as a whole, before anybody is asked anything."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from coop.authorization import claim_requests, clients, redirects, scopes
from coop.authorization.claim_requests import BadClaims, ClaimsRequest
from coop.authorization.clients import Client
from coop.errors import CoopError, Invalid
from coop.unit_of_work import UnitOfWork

PATH = "/oauth/authorize"
PROMPTS = ("none", "login", "consent", "select_account", "create")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
LONGEST_NONCE = 1000
LONGEST_PATH = 8000
"""Characters of a whole request: pages lead it through sign-in and dues, and could not bring a longer one back."""
LONGEST_AGE = 999_999_999
"""Seconds, some thirty years: nobody has been signed in for longer, so that more says nothing more."""


class UnsafeRequest(Invalid):
    """The network that sent you here made a mistake in its request, so we cannot send you back to it."""

    code = "unsafe_request"
    title = "This sign-in cannot go on"


class Denied(CoopError):
    """The authorization request is answered with an error, at the client's own address (RFC 6749, section 4.1.2.1)."""

    code = "authorization_denied"

    def __init__(self, error: str, description: str, *, redirect_uri: str, state: str | None):
        """Keep what goes back to the client."""
        super().__init__(description)
        self.error = error
        self.redirect_uri = redirect_uri
        self.state = state

    def location(self, issuer: str) -> str:
        """Return where the browser is sent with the bad news; `iss` says from whom they are (RFC 9207)."""
        told = {"error": self.error, "error_description": self.message}
        return redirects.with_answer(self.redirect_uri, _signed(told, self.state, issuer))


Refusal = Callable[[str, str], Denied]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that is in order: what a client wants, and how it wants its person to be asked."""

    client: Client
    query: str
    """The request in one spelling, by which it is recognised when the browser comes back to it."""
    redirect_uri: str
    scope: tuple[str, ...]
    code_challenge: str | None
    state: str | None
    nonce: str | None
    prompt: frozenset[str]
    max_age: int | None
    claims: ClaimsRequest
    acr_values: tuple[str, ...]
    """Assurances that would be welcome, the dearest first; none is a condition."""
    login_hint: str | None
    id_token_hint: str | None
    ui_locales: tuple[str, ...]

    @property
    def wanted(self) -> tuple[str, ...]:
        """What a member has to consent to: the scope, and the claims asked for singly that it does not bring anyway."""
        asked = self.claims.of_person(scopes.words(self.client.scope)) - scopes.claims_of(self.scope)
        # An address is shared as a whole, by its one switch.
        words = {scopes.EMAIL if claim in scopes.CLAIMS[scopes.EMAIL] else claim for claim in asked}
        return (*self.scope, *sorted(words - set(self.scope)))

    @property
    def path(self) -> str:
        """Return the path that brings a browser back to this request."""
        return f"{PATH}?{self.query}"

    def denied(self, error: str, description: str) -> Denied:
        """Return the refusal of this request."""
        return Denied(error, description, redirect_uri=self.redirect_uri, state=self.state)

    def granted(self, code: str, issuer: str) -> str:
        """Return where the browser is sent with the code."""
        return redirects.with_answer(self.redirect_uri, _signed({"code": code}, self.state, issuer))


async def read(work: UnitOfWork, form: Mapping[str, str], repeated: frozenset[str]) -> AuthorizationRequest:
    """Judge a request; raises `UnsafeRequest` while it is not certain to whom an answer would go, `Denied` after that.

    `repeated` names the parameters that were given more than once, which no parameter may be (RFC 6749, section 3.1).
    """
    if repeated & {"client_id", "redirect_uri"}:
        raise UnsafeRequest
    client = await clients.find(work, form.get("client_id"))
    if client is None:
        raise UnsafeRequest("The network that sent you here is not registered with us.")
    redirect_uri = form.get("redirect_uri", "")
    if not client.redirects_to(redirect_uri):
        raise UnsafeRequest(
            "The address to which you would be sent back is not one that the network registered."
        )
    state = None if "state" in repeated else form.get("state")

    def denied(error: str, description: str) -> Denied:
        return Denied(error, description, redirect_uri=redirect_uri, state=state)

    if repeated:
        raise denied("invalid_request", "A parameter was given twice.")
    query = urlencode(sorted(form.items()), quote_via=quote)
    if len(PATH) + 1 + len(query) > LONGEST_PATH:
        raise denied("invalid_request", "The request is too long.")
    for name in ("request", "request_uri", "registration"):
        if name in form:
            raise denied(f"{name}_not_supported", f"The parameter {name} is not supported.")
    _check_response(form, client, denied)
    scope = _scope(form.get("scope"), client, denied)
    return AuthorizationRequest(
        client=client,
        query=query,
        redirect_uri=redirect_uri,
        scope=scope,
        code_challenge=_challenge(form, client, denied),
        state=state,
        nonce=form.get("nonce"),
        prompt=_prompt(form.get("prompt"), denied),
        max_age=_age(form.get("max_age"), client, denied),
        claims=_claims(form.get("claims"), scope, denied),
        acr_values=_acr_values(form.get("acr_values"), client),
        login_hint=form.get("login_hint"),
        id_token_hint=form.get("id_token_hint"),
        ui_locales=tuple(form.get("ui_locales", "").split()),
    )


def _check_response(form: Mapping[str, str], client: Client, denied: Refusal) -> None:
    if not form.get("response_type"):
        raise denied("invalid_request", "response_type is missing.")
    if form["response_type"] != "code":
        raise denied("unsupported_response_type", "Only response_type=code is supported.")
    if form.get("response_mode", "query") != "query":
        raise denied("invalid_request", "Only response_mode=query is supported.")
    if not client.check_grant_type("authorization_code"):
        raise denied("unauthorized_client", "The client is not registered for authorization codes.")
    if len(form.get("nonce", "")) > LONGEST_NONCE:
        raise denied("invalid_request", "The nonce is too long.")


def _scope(asked: str | None, client: Client, denied: Refusal) -> tuple[str, ...]:
    # Unknown scopes are ignored (OpenID Connect Core, section 3.1.2.1); known ones the client is not registered for
    # would mislead it if they were.
    wanted = tuple(s for s in scopes.words(asked or scopes.OPENID) if s in scopes.OF_PEOPLE)
    if not wanted or not set(wanted) <= set(scopes.words(client.scope)):
        raise denied("invalid_scope", "The client is not registered for that scope.")
    return wanted


def _challenge(form: Mapping[str, str], client: Client, denied: Refusal) -> str | None:
    challenge = form.get("code_challenge")
    if challenge is None:
        if client.requires_pkce or "code_challenge_method" in form:
            raise denied("invalid_request", "PKCE is required: code_challenge is missing.")
        # Something has to bind the code to the browser in which it was asked for (RFC 9700, section 2.1.1).
        openid = scopes.OPENID in scopes.words(form.get("scope") or scopes.OPENID)
        if client.requires_nonce and openid and "nonce" not in form:
            raise denied("invalid_request", "nonce is missing; without PKCE it is required.")
        return None
    if form.get("code_challenge_method") != "S256":
        raise denied("invalid_request", "code_challenge_method must be S256.")
    if not _CHALLENGE.fullmatch(challenge):
        raise denied("invalid_request", "code_challenge is not a SHA-256 in base64url.")
    return challenge


def _prompt(asked: str | None, denied: Refusal) -> frozenset[str]:
    prompt = frozenset((asked or "").split())
    if not prompt <= set(PROMPTS):
        raise denied("invalid_request", f"prompt knows {', '.join(PROMPTS)}.")
    if "none" in prompt and len(prompt) > 1:
        raise denied("invalid_request", "prompt=none stands alone.")
    return prompt


def _age(asked: str | None, client: Client, denied: Refusal) -> int | None:
    if asked is None:
        return client.default_max_age
    if not re.fullmatch(r"[0-9]{1,18}", asked, re.ASCII):
        raise denied("invalid_request", "max_age is a number of seconds.")
    return min(int(asked), LONGEST_AGE)


def _claims(asked: str | None, scope: tuple[str, ...], denied: Refusal) -> ClaimsRequest:
    # Without openid this is no request of OpenID Connect, and the parameter is none of its own.
    if asked is None or scopes.OPENID not in scope:
        return claim_requests.NOTHING
    try:
        return claim_requests.read(asked)
    except BadClaims as error:
        raise denied("invalid_request", "claims is a JSON object with userinfo or id_token.") from error


def _acr_values(asked: str | None, client: Client) -> tuple[str, ...]:
    if asked is not None:
        return tuple(asked.split())
    preferred = client.details.get("default_acr_values")
    return tuple(str(value) for value in preferred) if isinstance(preferred, list) else ()


def _signed(told: dict[str, str], state: str | None, issuer: str) -> dict[str, str]:
    return told | ({} if state is None else {"state": state}) | {"iss": issuer}
