"""Tokens: opaque, of 256 random bits, stored as digests; what they are good for stands in their rows."""

import base64
import hmac
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from coop import sealing
from coop.database import Base
from coop.settings import Settings

# Prefixes by which scanners recognise a token that leaked into a log or a repository.
ACCESS_PREFIX = "coop_at_"
REFRESH_PREFIX = "coop_rt_"
ACCESS_LIFETIME = timedelta(hours=1)
REFRESH_LIFETIME = timedelta(days=60)
GRACE = timedelta(seconds=10)
"""How long honest clients that refresh at the same moment get the same successor."""


_GRANTED = "grant_id IS NOT NULL"


class AccessToken(Base):
    """What opens UserInfo, or the API to a network that acts in its own name."""

    __tablename__ = "access_tokens"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)
    # Not a foreign key: to check it would lock the one row of a client that every token of its names (decision 0032).
    client_id: Mapped[UUID]
    grant_id: Mapped[UUID | None] = mapped_column(ForeignKey("grants.id"))
    scope: Mapped[str] = mapped_column(String(300))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)

    __table_args__ = (
        # What a client does in its own name has no grant, and is most of the table.
        Index(None, grant_id, postgresql_where=text(_GRANTED), sqlite_where=text(_GRANTED)),
    )


class RefreshToken(Base):
    """One link of a family; using it makes the next one, using it late again ends the family."""

    __tablename__ = "refresh_tokens"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)
    grant_id: Mapped[UUID] = mapped_column(ForeignKey("grants.id"), index=True)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None] = mapped_column(default=None)


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
