"""What a client may do with a token of its own besides using it: have it looked into, and give it back."""

from dataclasses import dataclass
from uuid import UUID

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from coop.authorization import tokens
from coop.authorization.clients import JWT_FORMAT
from coop.authorization.effects import EndFamily, RevokeAccess
from coop.authorization.facts import Access, Family, KnownClient, Refresh
from coop.authorization.server import Request, Server


class Introspection(IntrospectionEndpoint):
    """What a token is worth, told to the client that it was issued to (RFC 7662)."""

    server: Server

    def check_params(self, request: Request, client: KnownClient) -> None:
        """Require the token; the hint is a hint."""
        del client
        if not request.form.get("token"):
            raise InvalidRequestError("token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> dict[str, object] | None:
        """Return what there is to say about a valid access or refresh token of the asking client."""
        del token_type_hint
        facts, client = self.server.facts, self.server.client
        if token_string.startswith(tokens.REFRESH_PREFIX):
            row, family = facts.refresh, facts.family
            if (
                row is None
                or family is None
                or family.client_id != client.id
                or not self._refreshes(row, family)
            ):
                return None
            self.server.family = family
            return self._told(row, family.scope)
        access = facts.living_access(self.server.wall)
        if access is None or access.client_id != client.id:
            return None
        self.server.family = facts.family
        told = self._told(access, access.scope) | {"token_type": "Bearer"}
        if facts.family is None:
            told["sub"] = client.client_id
        if client.access_token_format == JWT_FORMAT:
            # What the token says of itself (RFC 9068).
            told["aud"] = self.server.settings.issuer
        return told

    def check_permission(self, token: object, client: KnownClient, request: Request) -> bool:
        """Allow it: tokens of others were not even found."""
        del token, client, request
        return True

    def create_introspection_payload(self, token: dict[str, object] | None) -> dict[str, object]:
        """Say nothing at all about a token that is not valid."""
        return token or {"active": False}

    def _refreshes(self, row: Refresh, family: Family) -> bool:
        return (
            row.used_at is None
            and row.expires_at > self.server.wall
            and family.revoked_at is None
            and self.server.facts.may_act
        )

    def _told(self, row: Access | Refresh, scope: str) -> dict[str, object]:
        client_id = self.server.client.client_id
        return {
            "active": True,
            "client_id": client_id,
            "aud": client_id,
            "iss": self.server.settings.issuer,
            "scope": scope,
            "iat": int(row.issued_at.timestamp()),
            "exp": int(row.expires_at.timestamp()),
        }


@dataclass(frozen=True, slots=True)
class Returned:
    """A token that is to be revoked."""

    client_id: UUID
    effect: EndFamily | RevokeAccess

    def check_client(self, client: KnownClient) -> bool:
        """Tell whether the token was issued to this client."""
        return self.client_id == client.id


class Revocation(RevocationEndpoint):
    """A client gives a token back (RFC 7009); a refresh token takes its family along."""

    server: Server

    def check_params(self, request: Request, client: KnownClient) -> None:
        """Require the token; the hint is a hint."""
        del client
        if not request.form.get("token"):
            raise InvalidRequestError("token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> Returned | None:
        """Return the token, whosever it is; what is unknown needs no revoking."""
        del token_string, token_type_hint
        facts = self.server.facts
        if facts.refresh is not None and facts.family is not None:
            return Returned(facts.family.client_id, EndFamily(facts.family.id))
        if facts.access is not None:
            return Returned(facts.access.client_id, RevokeAccess(facts.access.digest))
        return None

    def revoke_token(self, token: Returned, request: Request) -> None:
        """Revoke the family of a refresh token, or the one access token."""
        del request
        self.server.effect = token.effect
