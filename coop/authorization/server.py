"""Authlib's authorization server for the length of one request: it judges in memory what was presented.

Nothing here touches the database: `presented` loaded the facts before, `effects` carries out what is decided.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidClientError,
    InvalidRequestError,
    OAuth2Error,
    OAuth2Request,
    TokenEndpoint,
    UnsupportedGrantTypeError,
)
from authlib.oauth2.rfc6749.grants import BaseGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from coop.authorization import claims, keys, tokens
from coop.authorization.clients import JWT_FORMAT
from coop.authorization.effects import Effect, Issue
from coop.authorization.facts import Facts, Family, KnownClient
from coop.errors import Unavailable
from coop.settings import Settings

Endpoint = Literal["token", "introspection", "revocation"]
BASIC_CHALLENGE = 'Basic realm="coop", error="invalid_client"'
"""Told to a client that did not prove itself (RFC 6749, section 5.2); libraries that see a challenge read no body, so it
says why, too, as the one for tokens does."""


@dataclass(frozen=True, slots=True)
class ProtocolRequest:
    """What came in: the endpoint, its path, the form, and the Authorization header."""

    endpoint: Endpoint
    path: str
    form: Mapping[str, str]
    authorization: str | None


@dataclass(frozen=True, slots=True)
class ProtocolAnswer:
    """What goes out, as JSON."""

    status: int
    body: dict[str, object]
    headers: dict[str, str] = field(default_factory=dict)
    inspected_by: KnownClient | None = None
    """The client that may have the answer signed: introspection found it to be in order."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How a client means to prove who it is (RFC 6749, section 2.3)."""

    method: str
    client_id: str | None
    secret: str | None = field(default=None, repr=False)


class Request(OAuth2Request):
    """One request as Authlib reads it; its address is built from the issuer, never from the Host header."""

    def __init__(self, settings: Settings, request: ProtocolRequest):
        super().__init__("POST", settings.url(request.path))
        # The edge has refused whatever was given twice.
        self.payload = BasicOAuth2Payload(request.form)

    @property
    def form(self) -> Mapping[str, str]:
        """Return the form; Authlib asks for it by this name."""
        form: Mapping[str, str] = self.payload.data
        return form


class Server(AuthorizationServer):
    """Authlib's server for the length of one request."""

    def __init__(
        self,
        settings: Settings,
        wall: datetime,
        request: ProtocolRequest,
        proof: Proof,
        facts: Facts,
        grants: Mapping[str, Callable[[Request, "Server"], BaseGrant]],
        endpoints: Mapping[str, Callable[["Server"], TokenEndpoint]],
    ):
        super().__init__()
        self.grants = grants
        self.endpoints = endpoints
        self.settings = settings
        self.wall = wall
        self.asked = request
        self.proof = proof
        self.facts = facts
        self.request = Request(settings, request)
        self.client: KnownClient
        self.effect: Effect | None = None
        """What is to be written before the answer may leave."""
        self.family: Family | None = None
        """The grant that tokens are issued for."""

    def respond(self) -> ProtocolAnswer:
        """Run the endpoint that was asked."""
        given: ProtocolAnswer
        if self.asked.endpoint != "token":
            given = self.use(self.endpoints[self.asked.endpoint](self))
        elif not self.asked.form.get("grant_type"):
            given = self.handle_error_response(self.request, InvalidRequestError("grant_type is missing."))
        else:
            given = self.create_token_response(self.request)
        return given

    def use(self, endpoint: TokenEndpoint) -> ProtocolAnswer:
        """Run an endpoint that Authlib would want registered.

        Endpoint and server would then hold each other, and whatever the request was about, until the collector came by.
        """
        try:
            return self.handle_response(*endpoint(self.request))
        except OAuth2Error as error:
            given: ProtocolAnswer = self.handle_error_response(self.request, error)
            return given

    def get_token_grant(self, request: Request) -> BaseGrant:
        """Return the grant that was asked for, which Authlib would search among registered ones."""
        asked = self.grants.get(request.payload.grant_type)
        if asked is None:
            raise UnsupportedGrantTypeError(request.payload.grant_type)
        return asked(request, self)

    def authenticate_client(
        self, request: Request, methods: list[str], endpoint: str = "token"
    ) -> KnownClient:
        """Return the client that proved itself by the one method that it is registered for (RFC 6749, section 2.3)."""
        del request, methods
        client, proof = self.facts.client, self.proof
        if (
            client is None
            or client.auth_method != proof.method
            or (proof.secret is not None and not client.proves(proof.secret, self.wall))
        ):
            raise InvalidClientError("The client is unknown or did not prove itself.", status_code=401)
        if proof.method == "none" and endpoint == "introspection":
            raise InvalidClientError("Introspection needs a client with a secret.", status_code=401)
        self.client = client
        return client

    def validate_requested_scope(self, scope: str | None) -> None:
        """Leave scope to the grants: what a client may ask for depends on the client."""

    def generate_token(
        self,
        grant_type: str,
        client: KnownClient,
        user: Family | None = None,
        scope: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,  # noqa: FBT001, FBT002 - Authlib's signature
    ) -> dict[str, object]:
        """Make the access token; what accompanies it is up to each grant."""
        del grant_type, expires_in, include_refresh_token
        token, lifetime = tokens.new_access(), tokens.ACCESS_LIFETIME
        if client.access_token_format == JWT_FORMAT:
            told = claims.access_token(
                self.settings, self.wall, client, user, self.facts.entitled, scope or ""
            )
            token, lifetime = self.sign(told, kind="at+jwt"), claims.JWT_ACCESS_LIFETIME
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(lifetime.total_seconds()),
            "scope": scope or "",
        }

    def issue(self, token: dict[str, object]) -> Issue:
        """Return the effect of which `token` is the answer's half."""
        return Issue(
            client_id=self.client.id,
            access_token=str(token["access_token"]),
            scope=str(token["scope"]),
            expires_at=self.wall + timedelta(seconds=int(str(token["expires_in"]))),
        )

    def sign(self, told: claims.Claims, *, kind: str = "JWT") -> str:
        """Return a JWT for the client, by the key that was loaded with it."""
        if self.facts.key is None:
            raise Unavailable
        kid, sealed = self.facts.key
        return keys.opened(self.settings, self.client.id_token_algorithm, kid, sealed).jwt(told, kind=kind)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody: what happened stands in the rows."""

    def create_oauth2_request(self, request: Request) -> Request:
        """Return the request, which is made already."""
        return request

    def handle_response(
        self, status: int, body: dict[str, object] | list[tuple[str, object]], headers: list[tuple[str, str]]
    ) -> ProtocolAnswer:
        """Return Authlib's triple as an answer."""
        return _answered(status, body, headers)


def refusal(error: OAuth2Error) -> ProtocolAnswer:
    """Return the answer that `error` stands for, where no server was needed to find it."""
    return _answered(*error(None))


def _answered(
    status: int, body: dict[str, object] | list[tuple[str, object]], headers: list[tuple[str, str]]
) -> ProtocolAnswer:
    # Authlib's challenge lacks the realm that the scheme requires (RFC 7617, section 2).
    extra = {name: BASIC_CHALLENGE for name, _ in headers if name == "WWW-Authenticate"}
    return ProtocolAnswer(status, dict(body), extra)


def proof_of(request: ProtocolRequest) -> Proof:
    """Return how the client means to prove itself; more than one way at once is refused."""
    basic = _basic(request.authorization)
    client_id, secret = request.form.get("client_id"), request.form.get("client_secret")
    if basic is not None:
        if secret is not None or client_id not in {None, basic[0]}:
            raise InvalidRequestError("Authenticate in one way only.")
        return Proof("client_secret_basic", *basic)
    if secret is not None:
        return Proof("client_secret_post", client_id, secret)
    return Proof("none", client_id)


def _basic(header: str | None) -> tuple[str, str] | None:
    """Return identifier and secret of HTTP Basic, each of them form-encoded before (RFC 6749, section 2.3.1)."""
    if header is None:
        return None
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        client_id, colon, secret = decoded.partition(":")
        pair = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (ValueError, binascii.Error) as error:
        raise InvalidClientError("The Authorization header cannot be read.", status_code=401) from error
    if scheme.lower() != "basic" or not colon:
        raise InvalidClientError("The Authorization header is not of the Basic scheme.", status_code=401)
    return pair
