"""Tokens: opaque, of 256 random bits, stored as digests; what they are good for stands in their rows."""

import base64
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, Select, String, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from coop import sealing
from coop.authorization import scopes
from coop.authorization.clients import digest
from coop.authorization.grants import Grant
from coop.database import Base
from coop.identity.accounts import Account
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

# Prefixes by which scanners recognise a token that leaked into a log or a repository.
ACCESS_PREFIX = "coop_at_"
REFRESH_PREFIX = "coop_rt_"
ACCESS_LIFETIME = timedelta(hours=1)
REFRESH_LIFETIME = timedelta(days=60)
GRACE = timedelta(seconds=10)
"""How long honest clients that refresh at the same moment get the same successor."""


class AccessToken(Base):
    """What opens UserInfo, or the API to a network that acts in its own name."""

    __tablename__ = "access_tokens"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.id"), index=True)
    grant_id: Mapped[UUID | None] = mapped_column(ForeignKey("grants.id"), index=True)
    scope: Mapped[str] = mapped_column(String(300))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)


class RefreshToken(Base):
    """One link of a family; using it makes the next one, using it late again ends the family."""

    __tablename__ = "refresh_tokens"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)
    grant_id: Mapped[UUID] = mapped_column(ForeignKey("grants.id"), index=True)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None] = mapped_column(default=None)


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a valid access token says: which client may do what, and for whom (for nobody: in its own name)."""

    client_id: UUID
    account_id: UUID | None
    scope: tuple[str, ...]
    grant: Grant | None
    issued_at: datetime
    expires_at: datetime


def new_access() -> str:
    """Return a fresh access token."""
    return ACCESS_PREFIX + secrets.token_urlsafe(32)


def new_refresh() -> str:
    """Return the first refresh token of a family."""
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def successor(settings: Settings, presented: str) -> str:
    """Return the one refresh token that follows `presented`.

    It is derived, not drawn, so that a second honest request within the grace gets the very same one although only
    digests are stored; without the server's key nobody can derive it.
    """
    mac = hmac.digest(sealing.key_for(settings, "refresh successor"), presented.encode(), "sha256")
    return REFRESH_PREFIX + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def living(token: str, wall: datetime) -> Select[AccessToken, Grant]:
    """Return the query for an access token that is valid at `wall`, with its grant if it has one.

    A token is worth nothing without its grant, nor while its account is locked or after it was erased.
    """
    return (
        select(AccessToken, Grant)
        .outerjoin(Grant, Grant.id == AccessToken.grant_id)
        .outerjoin(Account, Account.id == Grant.account_id)
        .where(
            AccessToken.digest == digest(token),
            AccessToken.revoked_at.is_(None),
            AccessToken.expires_at > wall,
            or_(
                AccessToken.grant_id.is_(None),
                Grant.revoked_at.is_(None) & Account.locked_at.is_(None) & Account.erased_at.is_(None),
            ),
        )
    )


async def bearer(work: UnitOfWork, token: str) -> Bearer | None:
    """Return what `token` allows, or nothing for any that is unknown, expired or revoked."""
    found = (await work.session.execute(living(token, work.wall))).first()
    if found is None:
        return None
    access, grant = found
    return Bearer(
        client_id=access.client_id,
        # An outer join: the type checker does not see that the grant may be missing.
        account_id=None if access.grant_id is None else grant.account_id,
        scope=scopes.words(access.scope),
        grant=None if access.grant_id is None else grant,
        issued_at=access.issued_at,
        expires_at=access.expires_at,
    )
