"""The three grants that a token request may present: a code, a refresh token, a client's own credentials."""

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidScopeError, grants
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge
from sqlalchemy import select, update

from coop.authorization import scopes, tokens
from coop.authorization.clients import Client, digest
from coop.authorization.grants import Grant
from coop.authorization.server import Server
from coop.authorization.tokens import RefreshToken


class CodeGrant(grants.AuthorizationCodeGrant):
    """An authorization code becomes tokens, once (RFC 6749, section 4.1.3)."""

    server: Server

    def query_authorization_code(self, code: str, client: Client) -> Grant | None:
        """Return the client's own grant while its code is fresh; a code that comes back takes everything down."""
        server = self.server
        grant = server.session.scalar(select(Grant).where(Grant.code_digest == digest(code)))
        if grant is None or grant.client_id != client.id or grant.revoked_at is not None:
            return None
        if grant.code_used_at is not None:
            server.revoke(grant)
            return None
        return grant if grant.code_expires_at > server.work.wall else None

    def authenticate_user(self, authorization_code: Grant) -> Grant | None:
        """Use the code up, after everything else was found in order; of many at once one passes.

        Authlib hands on whatever stands for the person; here it is the grant, which names the account.
        """
        server = self.server
        used = server.session.execute(
            update(Grant)
            .where(Grant.id == authorization_code.id, Grant.code_used_at.is_(None))
            .values(code_used_at=server.work.wall)
            .returning(Grant.id)
        ).first()
        if used is None:
            server.revoke(authorization_code)
            return None
        return authorization_code if server.may_sign_in(authorization_code) else None

    def save_token(self, token: dict[str, object]) -> None:
        """Keep the tokens, beginning the family's line of refresh tokens where the client may refresh."""
        self.server.save_token(token, self.request)
        if self.client.check_grant_type("refresh_token"):
            token["refresh_token"] = tokens.new_refresh()
            self.server.save_refresh(str(token["refresh_token"]), self.request.user)

    def delete_authorization_code(self, authorization_code: Grant) -> None:
        """Keep the used code's row: only so can its return be recognised."""


class S256(CodeChallenge):
    """PKCE (RFC 7636) for every client, by S256 alone; the challenge was required when the code was asked for."""

    def validate_code_verifier(self, grant: CodeGrant, result: object) -> None:
        """Refuse whoever does not hold the secret behind the challenge, without saying in what they failed."""
        del result
        verifier = grant.request.form.get("code_verifier", "")
        challenge = grant.request.authorization_code.code_challenge
        if not verifier.isascii() or create_s256_code_challenge(verifier) != challenge:
            raise InvalidGrantError("The code_verifier does not belong to this code.")


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token as it was sent, with its row and its family."""

    token: str
    row: RefreshToken
    grant: Grant

    def check_client(self, client: Client) -> bool:
        """Tell whether the family is this client's."""
        return self.grant.client_id == client.id

    def get_scope(self) -> str:
        """Return the scope of the family."""
        return self.grant.scope


class RefreshGrant(grants.RefreshTokenGrant):
    """A refresh token becomes its successor and an access token (RFC 6749, section 6; RFC 9700, section 4.14)."""

    server: Server
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Presented | None:
        """Return the family of a token that exists and has not expired; whether it was used is decided later."""
        wall = self.server.work.wall
        found = self.server.session.execute(
            select(RefreshToken, Grant)
            .join(Grant, Grant.id == RefreshToken.grant_id)
            .where(RefreshToken.digest == digest(refresh_token))
        ).first()
        if found is None:
            return None
        row, grant = found
        if row.expires_at <= wall or grant.revoked_at is not None:
            return None
        return Presented(refresh_token, row, grant)

    def authenticate_user(self, refresh_token: Presented) -> Grant:
        """Use the token up and make its successor; of many at once one does, the others get the same one.

        Honest clients refresh twice at the same moment, and a thief's refresh looks the same: for a grace of seconds,
        and only until the successor itself is used, both get the same answer. Later it is a replay, and the family ends.
        """
        server, row, grant = self.server, refresh_token.row, refresh_token.grant
        wall = server.work.wall
        following = tokens.successor(server.work.settings, refresh_token.token)
        used = server.session.execute(
            update(RefreshToken)
            .where(RefreshToken.digest == row.digest, RefreshToken.used_at.is_(None))
            .values(used_at=wall)
            .returning(RefreshToken.digest)
            .execution_options(synchronize_session=False)
        ).first()
        if used is not None:
            server.save_refresh(following, grant)
        elif not self._again_in_time(row.digest, digest(following)):
            server.revoke(grant)
            raise InvalidGrantError("The refresh token was used before; the whole grant has ended.")
        if not server.may_sign_in(grant):
            raise InvalidGrantError("The account is not available.")
        return grant

    def _again_in_time(self, presented: bytes, following: bytes) -> bool:
        """Tell whether the token was used a moment ago and nobody has used what followed."""
        # Columns, not rows: after the guarded UPDATE has waited, they are read as they are now.
        used_at = self.server.session.scalar(
            select(RefreshToken.used_at).where(RefreshToken.digest == presented)
        )
        fresh = self.server.session.scalar(
            select(RefreshToken.digest).where(
                RefreshToken.digest == following, RefreshToken.used_at.is_(None)
            )
        )
        return used_at is not None and fresh is not None and self.server.work.wall - used_at <= tokens.GRACE

    def save_token(self, token: dict[str, object]) -> None:
        """Keep the access token, which may be narrower than the family, and hand the successor out."""
        presented: Presented = self.request.refresh_token
        self.server.save_token(token, self.request)
        token["refresh_token"] = tokens.successor(self.server.work.settings, presented.token)

    def revoke_old_credential(self, refresh_token: Presented) -> None:
        """Do nothing: the token was used up before anything was issued."""


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
