"""What is published of the books: where the money is, what it is for, and what each month brought.

The journal stays private. Months in which fewer than ten years of membership were granted are merged with the next, so that
no figure speaks of a few people. What is published ends with the last whole month that fills such a period: two looks at
the books always lie ten years of membership apart, or show the same. With totals of the moment anybody could see whether
it was a card or the pool that paid for the membership that has just begun. Where places begin without a wait (a demo)
there is nothing to hide by one, and the books are of the moment.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, case, extract, func, select, type_coerce

from coop.clock import local_date, midnight, month_anniversary
from coop.ledger import chart, sealer
from coop.ledger.balances import natural, trial_balance
from coop.ledger.chart import LedgerAccount
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.money import ZERO, Money
from coop.unit_of_work import UnitOfWork

FEWEST_TERMS = 10
"""The privacy floor: a published period holds at least so many years of membership."""
RUNWAY_MONTHS = 3
"""Costs are averaged over so many months before this one."""
CONCENTRATION = 0.25
"""A source of more than this part of a year's money is told of, though not by name."""

_BEFORE_ALL = dt.date(1970, 1, 1)
_MINOR = type_coerce(EntryPosting.amount, BigInteger)
_MONEY = (chart.STRIPE_PENDING, chart.STRIPE, chart.BANK, chart.CASH)


@dataclass(frozen=True, slots=True)
class Movement:
    """What came to the debit and to the credit of one ledger account."""

    debits: Money = ZERO
    credits: Money = ZERO

    def __add__(self, other: "Movement") -> "Movement":
        return Movement(self.debits + other.debits, self.credits + other.credits)


@dataclass(frozen=True, slots=True)
class Period:
    """A month, or several that were merged."""

    first: dt.date
    """The first day of its first month."""
    last: dt.date
    """The last day of its last month, or today."""
    terms: int
    """How many years of membership were granted."""
    pool_in: Money
    pool_out: Money
    movements: Mapping[LedgerAccount, Movement]

    @property
    def key(self) -> str:
        """The name of the period in addresses: its first month."""
        return f"{self.first:%Y-%m}"

    @property
    def months(self) -> bool:
        """Whether several months were merged."""
        return (self.first.year, self.first.month) != (self.last.year, self.last.month)

    @property
    def dues(self) -> Money:
        """The dues of the years that were granted, whoever paid for them, less those given back."""
        moved = self.movements.get(chart.DEFERRED_DUES, Movement())
        return moved.credits

    @property
    def income(self) -> Money:
        """What was earned: operations' part of months gone by, grants."""
        return sum((m.credits - m.debits for _, m in self.under("Income:")), ZERO)

    @property
    def costs(self) -> Money:
        """What was spent."""
        return sum((m.debits - m.credits for _, m in self.under("Expenses:")), ZERO)

    @property
    def networks_earned(self) -> Money:
        """What the networks earned."""
        return sum((m.credits for _, m in self.under("Liabilities:Networks:")), ZERO)

    @property
    def networks_paid(self) -> Money:
        """What was paid to networks."""
        return sum((m.debits for _, m in self.under("Liabilities:Networks:")), ZERO)

    def under(self, root: str) -> list[tuple[LedgerAccount, Movement]]:
        """Return the movements of the ledger accounts below `root`."""
        return [(name, moved) for name, moved in self.movements.items() if name.startswith(root)]


@dataclass(frozen=True, slots=True)
class Runway:
    """How many months some money lasts at the pace of late."""

    money: Money
    monthly: Money

    @property
    def months(self) -> int | None:
        """Whole months; nothing when nothing is being spent."""
        return max(0, self.money.minor // self.monthly.minor) if self.monthly.minor > 0 else None


@dataclass(frozen=True, slots=True)
class Statement:
    """The books as they are published, all of one moment."""

    day: dt.date
    """The last day that is in it."""
    live: bool
    """It is of this moment."""
    balances: Mapping[LedgerAccount, Money]
    """Each positive on the side on which it grows."""
    periods: Sequence[Period]
    """The oldest first; none while there are too few years in all."""
    runway: Runway
    pool_runway: Runway
    concentrated: bool
    """Whether one source gave more than a quarter of the past year's money."""
    head: str | None
    """The head of the private journal's hash chain."""
    sealed: int

    def total(self, root: str) -> Money:
        """Return the sum of the balances below `root`."""
        return sum((amount for name, amount in self.balances.items() if name.startswith(root)), ZERO)

    @property
    def result(self) -> Money:
        """What was earned less what was spent, since the beginning."""
        return self.total("Income:") - self.total("Expenses:")


async def publish(work: UnitOfWork) -> Statement:
    """Return the books as anybody may see them; give it a snapshot."""
    today = local_date(work.now, work.settings.zone)
    live = not work.settings.sponsorship_delay_hours
    months = await _months(work, today)
    if not live:
        months = [month for month in months if month.last < today]
    periods = merged(months, whole=live)
    if not live:
        today = periods[-1].last if periods else _BEFORE_ALL
        months = [month for month in months if month.last <= today]
    before = today + dt.timedelta(days=1)
    sums = await trial_balance(work, before=None if live else before)
    balances = {name: natural(name, amount) for name, amount in sums.items()}
    recent = _recent(months, today)
    result = sum((a for n, a in balances.items() if n.startswith("Income:")), ZERO) - sum(
        (a for n, a in balances.items() if n.startswith("Expenses:")), ZERO
    )
    head = await sealer.head(work, before=None if live else midnight(before, work.settings.zone))
    return Statement(
        day=today,
        live=live,
        balances=balances,
        periods=periods,
        runway=Runway(
            balances.get(chart.RESERVE, ZERO) + result,
            Money(sum(month.costs.minor for month in recent) // RUNWAY_MONTHS),
        ),
        pool_runway=Runway(
            balances.get(chart.POOL, ZERO),
            Money(sum(month.pool_out.minor for month in recent) // RUNWAY_MONTHS),
        ),
        concentrated=await _concentrated(work, today),
        head=head[1] if head else None,
        sealed=head[0] if head else 0,
    )


def merged(months: Sequence[Period], *, whole: bool) -> list[Period]:
    """Merge months forward until each period has enough years.

    A rest that has too few waits for more; if `whole`, it joins the period before, so that nothing is left out.
    """
    periods: list[Period] = []
    waiting: Period | None = None
    for month in months:
        waiting = month if waiting is None else _joined(waiting, month)
        if waiting.terms >= FEWEST_TERMS:
            periods.append(waiting)
            waiting = None
    if whole and waiting is not None and periods:
        periods[-1] = _joined(periods[-1], waiting)
    return periods


def _joined(first: Period, second: Period) -> Period:
    names = sorted({*first.movements, *second.movements})
    nothing = Movement()
    return Period(
        first=first.first,
        last=second.last,
        terms=first.terms + second.terms,
        pool_in=first.pool_in + second.pool_in,
        pool_out=first.pool_out + second.pool_out,
        movements={
            LedgerAccount(n): first.movements.get(n, nothing) + second.movements.get(n, nothing)
            for n in names
        },
    )


async def _months(work: UnitOfWork, today: dt.date) -> list[Period]:
    """Return what every month with entries brought; three queries, whatever their number."""
    year, month = _year_and_month()
    moved = await work.session.execute(
        select(
            year,
            month,
            EntryPosting.account,
            func.sum(case((_MINOR > 0, _MINOR), else_=0)),
            func.sum(case((_MINOR < 0, -_MINOR), else_=0)),
        )
        .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .group_by(year, month, EntryPosting.account)
        .order_by(year, month, EntryPosting.account)
    )
    movements: dict[tuple[int, int], dict[LedgerAccount, Movement]] = {}
    for y, m, account, debits, credits_ in moved:
        here = movements.setdefault((int(y), int(m)), {})
        here[LedgerAccount(account)] = Movement(Money(int(debits)), Money(int(credits_)))
    terms = await _terms(work)
    pool = await _pool(work)
    return [
        Period(
            first=dt.date(*key, 1),
            last=min(
                month_anniversary(dt.date(*key, 1), 1) - dt.timedelta(days=1), max(today, dt.date(*key, 1))
            ),
            terms=terms.get(key, 0),
            pool_in=pool.get(key, (ZERO, ZERO))[0],
            pool_out=pool.get(key, (ZERO, ZERO))[1],
            movements=accounts,
        )
        for key, accounts in movements.items()
    ]


async def _terms(work: UnitOfWork) -> dict[tuple[int, int], int]:
    """Return how many years of membership each month granted: the credits of deferred dues."""
    year, month = _year_and_month()
    rows = await work.session.execute(
        select(year, month, func.count())
        .select_from(JournalEntry)
        .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .where(EntryPosting.account == chart.DEFERRED_DUES, _MINOR < 0)
        .group_by(year, month)
    )
    return {(int(y), int(m)): count for y, m, count in rows}


async def _pool(work: UnitOfWork) -> dict[tuple[int, int], tuple[Money, Money]]:
    """Return what came into the pool and left it in each month; what is merely reserved has not left it."""
    net = (
        select(EntryPosting.entry_id, func.sum(_MINOR).label("net"))
        .where(EntryPosting.account.in_(chart.GUARDED))
        .group_by(EntryPosting.entry_id)
        .subquery()
    )
    year, month = _year_and_month()
    rows = await work.session.execute(
        select(
            year,
            month,
            func.sum(case((net.c.net < 0, -net.c.net), else_=0)),
            func.sum(case((net.c.net > 0, net.c.net), else_=0)),
        )
        .select_from(JournalEntry)
        .join(net, net.c.entry_id == JournalEntry.id)
        .group_by(year, month)
    )
    return {(int(y), int(m)): (Money(int(came)), Money(int(left))) for y, m, came, left in rows}


def _recent(months: Sequence[Period], today: dt.date) -> list[Period]:
    """Return the last whole months before this one."""
    this = today.replace(day=1)
    since = month_anniversary(this, -RUNWAY_MONTHS)
    return [month for month in months if since <= month.first < this]


async def _concentrated(work: UnitOfWork, today: dt.date) -> bool:
    """Tell whether one source gave more than a quarter of what came in during the past year."""
    rows = await work.session.execute(
        select(JournalEntry.person, func.sum(_MINOR))
        .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .where(
            EntryPosting.account.in_(_MONEY),
            _MINOR > 0,
            JournalEntry.person.is_not(None),
            JournalEntry.date > today - dt.timedelta(days=365),
            JournalEntry.date <= today,
            # What Stripe pays out is no new money.
            JournalEntry.id.not_in(
                select(EntryPosting.entry_id).where(EntryPosting.account.in_(_MONEY), _MINOR < 0)
            ),
        )
        .group_by(JournalEntry.person)
    )
    given: list[tuple[UUID | None, int]] = [(person, int(amount)) for person, amount in rows]
    most = max((amount for _, amount in given), default=0)
    return most > CONCENTRATION * sum(amount for _, amount in given) if len(given) > 1 else False


def _year_and_month() -> tuple[ColumnElement[int], ColumnElement[int]]:
    return extract("year", JournalEntry.date), extract("month", JournalEntry.date)
