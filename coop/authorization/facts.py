"""Facts: plain rows of what the hot endpoints decide over, read once and changed by nobody."""

import hmac
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from coop.authorization.clients import digest
from coop.membership import entitlements
from coop.membership.entitlements import Entitlement


class KnownClient(NamedTuple):
    """What the endpoints need of a client; its fields are columns of `Client`."""

    id: UUID
    network_id: UUID | None
    sector: str
    scope: str
    grant_types: list[str]
    auth_method: str
    secret_digest: bytes | None
    previous_secret_digest: bytes | None
    previous_secret_until: datetime | None
    id_token_algorithm: str
    profile_in_id_token: bool
    access_token_format: str
    details: dict[str, object]

    @property
    def client_id(self) -> str:
        """The public identifier, in its one spelling."""
        return str(self.id)

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use a grant; the name is the one that Authlib calls."""
        return grant_type in self.grant_types

    def proves(self, secret: str, wall: datetime) -> bool:
        """Tell whether `secret` is this client's, or was until a moment ago."""
        told = digest(secret)
        if self.secret_digest is not None and hmac.compare_digest(told, self.secret_digest):
            return True
        return (
            self.previous_secret_digest is not None
            and self.previous_secret_until is not None
            and wall < self.previous_secret_until
            and hmac.compare_digest(told, self.previous_secret_digest)
        )


class Family(NamedTuple):
    """A grant as it stands: what a member allowed a client, and whether that still holds."""

    id: UUID
    client_id: UUID
    account_id: UUID
    session_id: UUID
    scope: str
    nonce: str | None
    claims: dict[str, object] | None
    authenticated_at: datetime
    amr_methods: list[str]
    redirect_uri: str
    code_challenge: str | None
    code_expires_at: datetime
    code_used_at: datetime | None
    revoked_at: datetime | None

    def get_redirect_uri(self) -> str:
        """Return the URI that the code went to; the name is the one that Authlib calls."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the scope; the name is the one that Authlib calls."""
        return self.scope


class Access(NamedTuple):
    """An access token as it stands."""

    digest: bytes
    client_id: UUID
    grant_id: UUID | None
    scope: str
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class Refresh(NamedTuple):
    """A refresh token as it stands."""

    digest: bytes
    grant_id: UUID
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None


class Profile(NamedTuple):
    """What a member lets one client know of them, and the values themselves."""

    name: str
    """Their name on the client's network."""
    shares_display_name: bool
    shares_email: bool
    withdrawn_at: datetime | None
    display_name: str | None
    email: str | None
    email_verified_at: datetime | None


class ActiveKey(NamedTuple):
    """The key that signs for the client now, sealed."""

    kid: str
    sealed: bytes


class Facts(NamedTuple):
    """What was found: nothing of it is judged yet, but for the membership behind it."""

    client: KnownClient | None = None
    access: Access | None = None
    refresh: Refresh | None = None
    successor_waits: bool = False
    """Whether what followed the refresh token has not been used."""
    family: Family | None = None
    may_act: bool = False
    """Whether the family's account is neither locked nor erased."""
    profile: Profile | None = None
    """What the family's member lets its client know."""
    key: ActiveKey | None = None
    """Where the client is given something signed."""
    entitled: Entitlement = entitlements.NONE

    def living_access(self, wall: datetime) -> Access | None:
        """Return the access token, unless it has expired or was revoked, or its family was, or its account may not act."""
        access = self.access
        if access is None or access.revoked_at is not None or access.expires_at <= wall:
            return None
        if access.grant_id is not None and (
            self.family is None or self.family.revoked_at is not None or not self.may_act
        ):
            return None
        return access
