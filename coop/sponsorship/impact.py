"""Impact: what the pool has paid for, told in numbers too large to speak of anybody.

A row holds at least ten years that the pool helped to begin, and whole months that are over: neither a sponsor nor anybody
else can match a gift to a membership.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, extract, func, select, type_coerce

from coop.clock import local_date, month_anniversary
from coop.ledger import RESERVED, EntryPosting, JournalEntry
from coop.money import ZERO, Money
from coop.unit_of_work import UnitOfWork

FEWEST_YEARS = 10

_MINOR = type_coerce(EntryPosting.amount, BigInteger)


@dataclass(frozen=True, slots=True)
class Cell:
    """Years that the pool paid for, in part or whole, between two days."""

    first: dt.date
    last: dt.date
    years: int
    paid: Money


async def cells(work: UnitOfWork) -> list[Cell]:
    """Return what the pool paid for since the beginning, the oldest first."""
    this_month = local_date(work.now, work.settings.zone).replace(day=1)
    year, month = extract("year", JournalEntry.date), extract("month", JournalEntry.date)
    rows = await work.session.execute(
        select(year, month, func.count(), func.sum(_MINOR))
        .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .where(
            EntryPosting.account == RESERVED,
            _MINOR > 0,
            # What was only kept, and given back, began nothing.
            JournalEntry.source != "pool",
            JournalEntry.date < this_month,
        )
        .group_by(year, month)
        .order_by(year, month)
    )
    return merged([_cell(dt.date(int(y), int(m), 1), count, Money(int(paid))) for y, m, count, paid in rows])


def merged(months: Sequence[Cell]) -> list[Cell]:
    """Merge months forward until each row is large enough; a rest that is too small waits for more."""
    done: list[Cell] = []
    first, years, paid = None, 0, ZERO
    for month in months:
        first = first or month.first
        years, paid = years + month.years, paid + month.paid
        if years >= FEWEST_YEARS:
            done.append(Cell(first, month.last, years, paid))
            first, years, paid = None, 0, ZERO
    return done


def _cell(first: dt.date, years: int, paid: Money) -> Cell:
    return Cell(first, month_anniversary(first, 1) - dt.timedelta(days=1), years, paid)
