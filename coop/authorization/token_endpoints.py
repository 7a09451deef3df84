"""What a client may do with a token of its own besides using it: have it looked into, and give it back."""

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from sqlalchemy import select

from coop.authorization import tokens
from coop.authorization.clients import Client, digest
from coop.authorization.grants import Grant
from coop.authorization.server import Request, Server
from coop.authorization.token_grants import Presented
from coop.authorization.tokens import AccessToken, RefreshToken


@dataclass(frozen=True, slots=True)
class PresentedAccess:
    """An access token that is to be revoked."""

    row: AccessToken

    def check_client(self, client: Client) -> bool:
        """Tell whether the token was issued to this client."""
        return self.row.client_id == client.id


class Introspection(IntrospectionEndpoint):
    """What a token is worth, told to the client that it was issued to (RFC 7662)."""

    server: Server

    def check_params(self, request: Request, client: Client) -> None:
        """Require the token; the hint is a hint."""
        del client
        if not request.form.get("token"):
            raise InvalidRequestError("token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> dict[str, object] | None:
        """Return what there is to say about a valid access or refresh token of the asking client."""
        del token_type_hint
        server = self.server
        if token_string.startswith(tokens.REFRESH_PREFIX):
            return self._refresh(token_string)
        found = server.session.execute(tokens.living(token_string, server.work.wall)).first()
        if found is None or found[0].client_id != server.client.id:
            return None
        access, grant = found
        server.inspected = None if access.grant_id is None else grant.account_id
        return self._told(access, access.scope) | {"token_type": "Bearer"}

    def check_permission(self, token: object, client: Client, request: Request) -> bool:
        """Allow it: tokens of others were not even found."""
        del token, client, request
        return True

    def create_introspection_payload(self, token: dict[str, object] | None) -> dict[str, object]:
        """Say nothing at all about a token that is not valid."""
        return token or {"active": False}

    def _refresh(self, token: str) -> dict[str, object] | None:
        server = self.server
        found = server.session.execute(
            select(RefreshToken, Grant)
            .join(Grant, Grant.id == RefreshToken.grant_id)
            .where(
                RefreshToken.digest == digest(token),
                RefreshToken.used_at.is_(None),
                RefreshToken.expires_at > server.work.wall,
                Grant.revoked_at.is_(None),
                Grant.client_id == server.client.id,
            )
        ).first()
        if found is None or not server.may_sign_in(found[1]):
            return None
        server.inspected = found[1].account_id
        return self._told(found[0], found[1].scope)

    def _told(self, row: AccessToken | RefreshToken, scope: str) -> dict[str, object]:
        client_id = self.server.client.client_id
        return {
            "active": True,
            "client_id": client_id,
            "aud": client_id,
            "iss": self.server.work.settings.issuer,
            "scope": scope,
            "iat": int(row.issued_at.timestamp()),
            "exp": int(row.expires_at.timestamp()),
        }


class Revocation(RevocationEndpoint):
    """A client gives a token back (RFC 7009); a refresh token takes its family along."""

    server: Server

    def check_params(self, request: Request, client: Client) -> None:
        """Require the token; the hint is a hint."""
        del client
        if not request.form.get("token"):
            raise InvalidRequestError("token is missing.")

    def query_token(
        self, token_string: str, token_type_hint: str | None
    ) -> Presented | PresentedAccess | None:
        """Return the token, whosever it is; what is unknown needs no revoking."""
        del token_type_hint
        session = self.server.session
        if token_string.startswith(tokens.REFRESH_PREFIX):
            found = session.execute(
                select(RefreshToken, Grant)
                .join(Grant, Grant.id == RefreshToken.grant_id)
                .where(RefreshToken.digest == digest(token_string))
            ).first()
            return None if found is None else Presented(token_string, found[0], found[1])
        access = session.get(AccessToken, digest(token_string))
        return None if access is None else PresentedAccess(access)

    def revoke_token(self, token: Presented | PresentedAccess, request: Request) -> None:
        """Revoke the family of a refresh token, or the one access token."""
        del request
        if isinstance(token, Presented):
            self.server.revoke(token.grant)
        elif token.row.revoked_at is None:
            token.row.revoked_at = self.server.work.wall
