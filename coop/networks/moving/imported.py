"""Imported accounts: what a network says of an account it had, until the person whose it is has claimed it.

Their owners are not members, perhaps never will be. So no address is kept, only a keyed digest that answers one question
(is this verified address the one?), and not even that for ever.
"""

import hmac
import unicodedata
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop import sealing
from coop.database import Base
from coop.networks import aliases
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

KEPT = timedelta(days=180)
"""How long the digest of an unclaimed account's address is kept; its name is kept for its owner for ever."""
LONGEST_ID = 64

_MARKS = frozenset("._-+=~@' ")
"""What names contain beside letters and digits, in one network's software or another; never what separates paths."""


class ImportedAccount(Base):
    """An account that a network had before; the alias beside it belongs to nobody until this one is claimed."""

    __tablename__ = "imported_accounts"
    __table_args__ = (
        ForeignKeyConstraint(["network_id", "folded"], ["aliases.network_id", "aliases.folded"]),
        UniqueConstraint("network_id", "external_id", name="uq_imported_accounts_network_id_external_id"),
        CheckConstraint("(token_digest IS NULL) = (token_expires_at IS NULL)", name="token"),
        CheckConstraint(
            "email_digest IS NULL OR (claimed_at IS NULL AND forgotten_at IS NULL)", name="email_kept"
        ),
        Index("ix_imported_accounts_network_id_email_digest", "network_id", "email_digest"),
    )

    network_id: Mapped[UUID] = mapped_column(primary_key=True)
    folded: Mapped[str] = mapped_column(String(aliases.LONGEST), primary_key=True)
    imported_at: Mapped[datetime]
    external_id: Mapped[str | None] = mapped_column(String(LONGEST_ID), default=None)
    """The network's own identifier of the account; it tells an account that was renamed there from a new one."""
    email_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), default=None, repr=False)
    token_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True, default=None, repr=False)
    token_expires_at: Mapped[datetime | None] = mapped_column(default=None)
    forgotten_at: Mapped[datetime | None] = mapped_column(default=None)
    claimed_at: Mapped[datetime | None] = mapped_column(default=None)
    email_matched: Mapped[bool] = mapped_column(default=False)
    """Whether the network knew the address of the member who claimed the account, and can find it by that."""


def tolerable(name: str) -> bool:
    """Tell whether an older name can be an alias: letters, digits and a few marks of any script, up to 64 of them."""
    return (
        0 < len(name) <= aliases.LONGEST
        # Both are stored, and compatibility forms can be much longer than what they stand for.
        and len(aliases.folded(name)) <= aliases.LONGEST
        and any(c.isalnum() for c in name)
        and name == name.strip()
        and all(c in _MARKS or unicodedata.category(c)[0] in "LMN" for c in name)
    )


def digest_of(settings: Settings, network_id: UUID, address: str) -> bytes:
    """Return the keyed digest of a checked address, different for each network, so that no two lists compare."""
    key = sealing.key_for(settings, "imported account")
    return hmac.digest(key, network_id.bytes + address.encode(), "sha256")


async def renew(work: UnitOfWork, network_id: UUID, folded: str, **facts: object) -> None:
    """Write what a later import says, unless the account was claimed in the meantime."""
    await work.session.execute(
        update(ImportedAccount)
        .where(
            ImportedAccount.network_id == network_id,
            ImportedAccount.folded == folded,
            ImportedAccount.claimed_at.is_(None),
        )
        .values(imported_at=work.now, forgotten_at=None, **facts)
    )


async def forget_due(units: Units) -> None:
    """Delete the digests of addresses whose owners have not come, and links that expired (a recurring job)."""
    async with units.open() as work:
        for forgotten in (
            update(ImportedAccount)
            .where(
                ImportedAccount.imported_at <= work.now - KEPT,
                ImportedAccount.claimed_at.is_(None),
                ImportedAccount.forgotten_at.is_(None),
            )
            .values(email_digest=None, forgotten_at=work.now),
            update(ImportedAccount)
            .where(ImportedAccount.token_expires_at <= work.wall)
            .values(token_digest=None, token_expires_at=None),
        ):
            await work.session.execute(forgotten)
