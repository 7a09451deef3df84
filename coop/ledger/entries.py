"""Entries and postings: what the journal is made of."""

import datetime as dt
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.ledger.chart import LedgerAccount
from coop.money import Money
from coop.unit_of_work import new_id


class Posting(msgspec.Struct, frozen=True):
    """One movement on one ledger account; positive is a debit, negative a credit."""

    account: LedgerAccount
    amount: Money


def debit(account: LedgerAccount, amount: Money) -> Posting:
    """Return a debit of `amount`."""
    return Posting(account, amount)


def credit(account: LedgerAccount, amount: Money) -> Posting:
    """Return a credit of `amount`."""
    return Posting(account, -amount)


class JournalEntry(Base):
    """One event in money: what happened, on which day, under which law, and concerning whom (a random reference)."""

    __tablename__ = "journal_entries"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        CheckConstraint("size >= 2", name="size"),
        Index("ix_journal_entries_date", "date"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    date: Mapped[dt.date] = mapped_column(Date)
    source: Mapped[str] = mapped_column(String(40))
    external_id: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(300))
    size: Mapped[int]
    recorded_at: Mapped[dt.datetime]
    policy_version: Mapped[UUID | None] = mapped_column(ForeignKey("policy_versions.id"), default=None)
    person: Mapped[UUID | None] = mapped_column(index=True, default=None)


class EntryPosting(Base):
    """A posting as it stands in the journal."""

    __tablename__ = "postings"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        Index("ix_postings_account", "account"),
    )

    entry_id: Mapped[UUID] = mapped_column(
        # Deferred, since postings come before the entry whose trigger counts them.
        ForeignKey("journal_entries.id", deferrable=True, initially="DEFERRED"),
        primary_key=True,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account: Mapped[str] = mapped_column(String(120))
    amount: Mapped[Money]
