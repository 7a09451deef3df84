"""The hash chain over the journal, made by one sealer after commit, so that writers never queue for it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, String, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.unit_of_work import UnitOfWork, Units

BATCH = 500
GENESIS = "0" * 64


class Seal(Base):
    """One link of the chain: it fixes an entry, and everything before it; never changed or deleted (triggers)."""

    __tablename__ = "seals"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry: Mapped[UUID] = mapped_column(ForeignKey("journal_entries.id"), unique=True)
    hash: Mapped[str] = mapped_column(String(64))


def link(previous: str, entry: JournalEntry, postings: Sequence[tuple[str, int]]) -> str:
    """Return the SHA-256 of an entry upon the chain's `previous` hash; postings are (ledger account, minor units)."""
    spelled = msgspec.json.encode(
        {
            "previous": previous,
            "id": entry.id,
            "date": entry.date,
            "source": entry.source,
            "external_id": entry.external_id,
            "description": entry.description,
            "policy_version": entry.policy_version,
            "person": entry.person,
            "postings": postings,
        },
        order="sorted",
    )
    return hashlib.sha256(spelled).hexdigest()


async def seal_due(units: Units) -> int:
    """Seal every entry that waits for it, in batches; return how many. Safe to run twice at once: one of them wins."""
    sealed = 0
    while True:
        try:
            async with units.open() as work:
                count = await seal(work)
        except IntegrityError:
            # Another sealer took the same numbers; its links are as good as ours.
            return sealed
        sealed += count
        if count < BATCH:
            return sealed


async def seal(work: UnitOfWork) -> int:
    """Add the next links, at most a batch; return how many."""
    last = await head(work)
    seq, previous = last or (0, GENESIS)
    entries = (
        await work.session.scalars(
            select(JournalEntry)
            .outerjoin(Seal, Seal.entry == JournalEntry.id)
            .where(Seal.seq.is_(None))
            .order_by(JournalEntry.recorded_at, JournalEntry.id)
            .limit(BATCH)
        )
    ).all()
    lines = await postings_by_entry(work, [entry.id for entry in entries])
    for entry in entries:
        seq += 1
        previous = link(previous, entry, lines[entry.id])
        work.session.add(Seal(seq=seq, entry=entry.id, hash=previous))
    await work.session.flush()
    return len(entries)


async def head(work: UnitOfWork, *, before: datetime | None = None) -> tuple[int, str] | None:
    """Return the number and the hash of the last link, or of the last one of an entry recorded `before` an instant."""
    last = select(Seal.seq, Seal.hash).order_by(Seal.seq.desc()).limit(1)
    if before is not None:
        last = last.join(JournalEntry, JournalEntry.id == Seal.entry).where(JournalEntry.recorded_at < before)
    row = (await work.session.execute(last)).first()
    return None if row is None else (row.seq, row.hash)


async def lag(work: UnitOfWork) -> int:
    """Return how many entries wait to be sealed."""
    entries = await work.session.scalar(select(func.count()).select_from(JournalEntry)) or 0
    return entries - (await work.session.scalar(select(func.count()).select_from(Seal)) or 0)


async def postings_by_entry(work: UnitOfWork, entries: Sequence[UUID]) -> dict[UUID, list[tuple[str, int]]]:
    """Return the postings of several entries, in their order, as (ledger account, minor units)."""
    rows = await work.session.execute(
        select(EntryPosting.entry_id, EntryPosting.account, EntryPosting.amount)
        .where(EntryPosting.entry_id.in_(entries))
        .order_by(EntryPosting.entry_id, EntryPosting.position)
    )
    found: dict[UUID, list[tuple[str, int]]] = {}
    for entry_id, account, amount in rows:
        found.setdefault(entry_id, []).append((account, amount.minor))
    return found
