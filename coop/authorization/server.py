"""Authlib's authorization server over our rows, for the length of one request; the client proves itself here."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_plus
from uuid import UUID

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidClientError,
    InvalidRequestError,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from sqlalchemy import update
from sqlalchemy.orm import Session

from coop.authorization import tokens
from coop.authorization.clients import Client, digest, key_of
from coop.authorization.grants import Grant
from coop.authorization.tokens import AccessToken, RefreshToken
from coop.identity.accounts import Account
from coop.unit_of_work import UnitOfWork

Endpoint = Literal["token", "introspection", "revocation"]


@dataclass(frozen=True, slots=True)
class ProtocolRequest:
    """What came in: the endpoint, its path, the form, and the headers under small letters."""

    endpoint: Endpoint
    path: str
    form: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ProtocolAnswer:
    """What goes out, as JSON."""

    status: int
    body: dict[str, object]
    headers: dict[str, str] = field(default_factory=dict)


class Request(OAuth2Request):
    """One request as Authlib reads it; its address is built from the issuer, never from the Host header."""

    def __init__(self, work: UnitOfWork, request: ProtocolRequest):
        super().__init__("POST", work.settings.url(request.path), headers=request.headers)
        # The edge has refused whatever was given twice.
        self.payload = BasicOAuth2Payload(request.form)

    @property
    def form(self) -> Mapping[str, str]:
        """Return the form; Authlib asks for it by this name."""
        form: Mapping[str, str] = self.payload.data
        return form


class Server(AuthorizationServer):
    """Authlib's server for the length of one request."""

    def __init__(self, work: UnitOfWork, session: Session, request: ProtocolRequest):
        super().__init__()
        self.work = work
        self.session = session
        self.asked = request
        self.request = Request(work, request)
        self.client: Client
        self.issued: tuple[Grant, str] | None = None
        self.inspected: UUID | None = None

    def respond(self) -> ProtocolAnswer:
        """Run the endpoint that was asked."""
        given: ProtocolAnswer
        if self.asked.endpoint != "token":
            given = self.create_endpoint_response(self.asked.endpoint, self.request)
        elif not self.asked.form.get("grant_type"):
            given = self.handle_error_response(self.request, InvalidRequestError("grant_type is missing."))
        else:
            given = self.create_token_response(self.request)
        return given

    def authenticate_client(self, request: Request, methods: list[str], endpoint: str = "token") -> Client:
        """Return the client that proved itself by the one method that it is registered for (RFC 6749, section 2.3)."""
        del methods
        basic = _basic(request.headers.get("authorization"))
        client_id, secret = request.form.get("client_id"), request.form.get("client_secret")
        used = "none" if secret is None else "client_secret_post"
        if basic is not None:
            if secret is not None or client_id not in {None, basic[0]}:
                raise InvalidRequestError("Authenticate in one way only.")
            used, (client_id, secret) = "client_secret_basic", basic
        key = key_of(client_id)
        client = None if key is None else self.session.get(Client, key)
        if client is None or client.auth_method != used or (secret is not None and not client.proves(secret)):
            raise InvalidClientError("The client is unknown or did not prove itself.", status_code=401)
        if used == "none" and endpoint == "introspection":
            raise InvalidClientError("Introspection needs a client with a secret.", status_code=401)
        self.client = client
        return client

    def validate_requested_scope(self, scope: str | None) -> None:
        """Leave scope to the grants: what a client may ask for depends on the client."""

    def generate_token(
        self,
        grant_type: str,
        client: Client,
        user: object = None,
        scope: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,  # noqa: FBT001, FBT002 - Authlib's signature
    ) -> dict[str, object]:
        """Draw the access token; what accompanies it is up to each grant."""
        del grant_type, client, user, expires_in, include_refresh_token
        return {
            "access_token": tokens.new_access(),
            "token_type": "Bearer",
            "expires_in": int(tokens.ACCESS_LIFETIME.total_seconds()),
            "scope": scope or "",
        }

    def save_token(self, token: dict[str, object], request: Request) -> None:
        """Keep the digest of the access token."""
        grant: Grant | None = request.user
        access = str(token["access_token"])
        self.session.add(
            AccessToken(
                digest=digest(access),
                client_id=request.client.id,
                grant_id=None if grant is None else grant.id,
                scope=str(token["scope"]),
                issued_at=self.work.wall,
                expires_at=self.work.wall + tokens.ACCESS_LIFETIME,
            )
        )
        if grant is not None:
            self.issued = grant, access

    def save_refresh(self, token: str, grant: Grant) -> None:
        """Keep the digest of a refresh token of the family."""
        self.session.add(
            RefreshToken(
                digest=digest(token),
                grant_id=grant.id,
                issued_at=self.work.wall,
                expires_at=self.work.wall + tokens.REFRESH_LIFETIME,
            )
        )

    def revoke(self, grant: Grant) -> None:
        """End a family: its code, its refresh tokens and its access tokens."""
        self.session.execute(
            update(Grant)
            .where(Grant.id == grant.id, Grant.revoked_at.is_(None))
            .values(revoked_at=self.work.wall)
        )

    def may_sign_in(self, grant: Grant) -> bool:
        """Tell whether the account behind a grant may still act."""
        account = self.session.get(Account, grant.account_id)
        return account is not None and account.locked_at is None and account.erased_at is None

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody: what happened stands in the rows."""

    def create_oauth2_request(self, request: Request) -> Request:
        """Return the request, which is made already."""
        return request

    def handle_response(
        self, status: int, body: dict[str, object] | list[tuple[str, object]], headers: list[tuple[str, str]]
    ) -> ProtocolAnswer:
        """Return Authlib's triple as an answer."""
        extra = {name: value for name, value in headers if name == "WWW-Authenticate"}
        return ProtocolAnswer(status, dict(body), extra)


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
