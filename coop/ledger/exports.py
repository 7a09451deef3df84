"""The whole journal as CSV and JSON, for auditors and for moving house."""

import csv
import datetime as dt
from collections.abc import AsyncIterator
from typing import TextIO

import msgspec
from sqlalchemy import select, tuple_

from coop.ledger.chart import LedgerAccount
from coop.ledger.entries import EntryPosting, JournalEntry, Posting
from coop.unit_of_work import UnitOfWork

_PAGE = 500
COLUMNS = (
    "date",
    "entry",
    "source",
    "external_id",
    "description",
    "policy_version",
    "person",
    "account",
    "debit",
    "credit",
)


async def entries(work: UnitOfWork) -> AsyncIterator[tuple[JournalEntry, list[Posting]]]:
    """Yield every entry with its postings, by date, a page at a time."""
    after: tuple[dt.date, dt.datetime, object] | None = None
    order = (JournalEntry.date, JournalEntry.recorded_at, JournalEntry.id)
    while True:
        statement = select(JournalEntry).order_by(*order).limit(_PAGE)
        if after is not None:
            statement = statement.where(tuple_(*order) > tuple_(*after, types=[c.type for c in order]))
        page = (await work.session.scalars(statement)).all()
        lines: dict[object, list[Posting]] = {entry.id: [] for entry in page}
        rows = await work.session.execute(
            select(EntryPosting.entry_id, EntryPosting.account, EntryPosting.amount)
            .where(EntryPosting.entry_id.in_(lines))
            .order_by(EntryPosting.entry_id, EntryPosting.position)
        )
        for entry_id, account, amount in rows:
            lines[entry_id].append(Posting(LedgerAccount(account), amount))
        for entry in page:
            yield entry, lines[entry.id]
        if len(page) < _PAGE:
            return
        after = (page[-1].date, page[-1].recorded_at, page[-1].id)
        # What was yielded is not needed any more; a long journal must not fill the memory.
        for entry in page:
            work.session.expunge(entry)


async def journal_csv(work: UnitOfWork, out: TextIO) -> None:
    """Write a line per posting."""
    plain = work.settings.money.plain
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    async for entry, postings in entries(work):
        for posting in postings:
            debit = plain(posting.amount) if posting.amount.minor > 0 else ""
            credit = plain(-posting.amount) if posting.amount.minor < 0 else ""
            writer.writerow(
                [
                    entry.date,
                    entry.id,
                    entry.source,
                    entry.external_id,
                    entry.description,
                    entry.policy_version or "",
                    entry.person or "",
                    posting.account,
                    debit,
                    credit,
                ]
            )


async def journal_json(work: UnitOfWork, out: TextIO) -> None:
    """Write a line per entry (JSON Lines), amounts in minor units, debits positive."""
    async for entry, postings in entries(work):
        line = {
            "date": entry.date,
            "entry": entry.id,
            "source": entry.source,
            "external_id": entry.external_id,
            "description": entry.description,
            "policy_version": entry.policy_version,
            "person": entry.person,
            "postings": [{"account": p.account, "amount": p.amount.minor} for p in postings],
        }
        out.write(msgspec.json.encode(line).decode() + "\n")
