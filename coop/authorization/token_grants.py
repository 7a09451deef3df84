"""The three grants that a token request may present: a code, a refresh token, a client's own credentials."""

import hmac
import re
from dataclasses import dataclass

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidScopeError, grants
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from coop.authorization import scopes, tokens
from coop.authorization.effects import EndFamily, Redeem, Repeat, Rotate
from coop.authorization.facts import Family, KnownClient, Refresh
from coop.authorization.server import Server

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
"""What a verifier is made of (RFC 7636, section 4.1): a shorter one could be guessed from its challenge."""


class CodeGrant(grants.AuthorizationCodeGrant):
    """An authorization code becomes tokens, once (RFC 6749, section 4.1.3)."""

    server: Server

    def validate_token_request(self) -> None:
        """Refuse also whoever does not hold the secret behind the challenge (PKCE, RFC 7636), without saying in what they failed.

        Only S256 is understood. Whether a challenge was needed was judged when the code was asked for.
        """
        super().validate_token_request()
        verifier = self.request.form.get("code_verifier")
        challenge = self.request.authorization_code.code_challenge
        if challenge is None and verifier is None:
            return
        # A verifier without a challenge tells that somebody took the challenge out on the way (RFC 9700, section 4.8.2).
        if challenge is None or not _answers(verifier or "", challenge):
            raise InvalidGrantError("The code_verifier does not belong to this code.")

    def query_authorization_code(self, code: str, client: KnownClient) -> Family | None:
        """Return the client's own grant while its code is fresh; a code that comes back takes everything down."""
        del code
        family = self.server.facts.family
        if family is None or family.client_id != client.id or family.revoked_at is not None:
            return None
        if family.code_used_at is not None:
            self.server.effect = EndFamily(family.id)
            return None
        return family if family.code_expires_at > self.server.wall else None

    def authenticate_user(self, authorization_code: Family) -> Family | None:
        """Return whom the tokens are for: Authlib hands on what stands for the person, here the grant."""
        return authorization_code if self.server.facts.may_act else None

    def save_token(self, token: dict[str, object]) -> None:
        """Begin the family's line of refresh tokens where the client may refresh, and say what is to be kept."""
        family: Family = self.request.user
        refresh = tokens.new_refresh() if self.client.check_grant_type("refresh_token") else None
        if refresh is not None:
            token["refresh_token"] = refresh
        self.server.family = family
        self.server.effect = Redeem(self.server.issue(token), family.id, refresh)

    def delete_authorization_code(self, authorization_code: Family) -> None:
        """Keep the used code's row: only so can its return be recognised."""


def _answers(verifier: str, challenge: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    return hmac.compare_digest(create_s256_code_challenge(verifier), challenge)


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token as it was sent, with its row and its family."""

    token: str
    row: Refresh
    family: Family

    def check_client(self, client: KnownClient) -> bool:
        """Tell whether the family is this client's."""
        return self.family.client_id == client.id

    def get_scope(self) -> str:
        """Return the scope of the family."""
        return self.family.scope


class RefreshGrant(grants.RefreshTokenGrant):
    """A refresh token becomes its successor and an access token (RFC 6749, section 6; RFC 9700, section 4.14)."""

    server: Server
    INCLUDE_NEW_REFRESH_TOKEN = True

    def validate_token_request(self) -> None:
        """Bring a scope that is asked for into one spelling: each word once, as the family's own is kept."""
        super().validate_token_request()
        asked = scopes.words(self.request.payload.scope)
        # Authlib parts words at any white space.
        if not set(asked) <= set(scopes.words(self.request.refresh_token.get_scope())):
            raise InvalidScopeError
        self.request.payload = BasicOAuth2Payload(
            {**self.request.payload.data, "scope": scopes.joined(asked)}
        )

    def authenticate_refresh_token(self, refresh_token: str) -> Presented | None:
        """Return the family of a token that exists and has not expired; whether it was used is decided later."""
        row, family = self.server.facts.refresh, self.server.facts.family
        if (
            row is None
            or family is None
            or family.revoked_at is not None
            or row.expires_at <= self.server.wall
        ):
            return None
        return Presented(refresh_token, row, family)

    def authenticate_user(self, refresh_token: Presented) -> Family:
        """Return whom the tokens are for, unless the token comes back too late.

        Honest clients refresh twice at the same moment, and a thief's refresh looks the same: for a grace of seconds,
        and only until the successor itself is used, both get the same answer. Later it is a replay, and the family ends.
        """
        server, row = self.server, refresh_token.row
        if row.used_at is not None and not (
            server.facts.successor_waits and server.wall - row.used_at <= tokens.GRACE
        ):
            server.effect = EndFamily(refresh_token.family.id)
            raise InvalidGrantError("The refresh token was used before; the whole grant has ended.")
        if not server.facts.may_act:
            raise InvalidGrantError("The account is not available.")
        return refresh_token.family

    def save_token(self, token: dict[str, object]) -> None:
        """Hand the one successor out with the access token, which may be narrower than the family."""
        server = self.server
        presented: Presented = self.request.refresh_token
        following = tokens.successor(server.settings, presented.token)
        token["refresh_token"] = following
        server.family = presented.family
        issue = server.issue(token)
        if presented.row.used_at is None:
            server.effect = Rotate(issue, presented.family.id, presented.token, following)
        else:
            server.effect = Repeat(issue, presented.family.id, following)

    def revoke_old_credential(self, refresh_token: Presented) -> None:
        """Do nothing: the effect uses the token up."""


class ClientCredentialsGrant(grants.ClientCredentialsGrant):
    """A client acts in its own name (RFC 6749, section 4.4)."""

    server: Server

    def validate_requested_scope(self) -> None:
        """Refuse what the client is not registered for, and leave out what only people can grant."""
        allowed = scopes.words(self.client.scope)
        wanted = scopes.words(self.request.payload.scope) or allowed
        if not set(wanted) <= set(allowed):
            raise InvalidScopeError
        granted = scopes.joined(s for s in wanted if s in scopes.OF_SERVICES)
        self.request.payload = BasicOAuth2Payload({**self.request.payload.data, "scope": granted})

    def save_token(self, token: dict[str, object]) -> None:
        """Say what is to be kept."""
        self.server.effect = self.server.issue(token)
