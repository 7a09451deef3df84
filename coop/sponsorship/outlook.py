"""The queue as those who wait see it: their place, and a date drawn from what the pool received lately."""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select

from coop import ledger, policies
from coop.clock import local_date
from coop.ledger import POOL, EntryPosting, JournalEntry
from coop.money import ZERO, Money
from coop.policies import Dues
from coop.sponsorship import pool
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork

LOOK_BACK = timedelta(days=90)
FARTHEST = timedelta(days=1826)
"""Beyond five years a date would only pretend to know."""


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the queue, counted from one, and when it may be reached."""

    position: int
    expected: date | None


async def where(work: UnitOfWork, place: Place) -> Where:
    """Return where a request stands, and when the pool would reach it at the pace of the last ninety days."""
    ahead, given = (
        await work.session.execute(
            select(func.count(), func.sum(Place.contribution)).where(Place.state == "queued", _before(place))
        )
    ).one()
    price = Money((await policies.in_force(work, Dues)).document.price)
    needed = price * (ahead + 1) - (given or ZERO) - place.contribution
    missing = needed - await pool.free(work)
    return Where(ahead + 1, await _expected(work, missing))


async def length(work: UnitOfWork) -> int:
    """Return how many wait."""
    return await work.session.scalar(select(func.count()).where(Place.state == "queued")) or 0


async def _expected(work: UnitOfWork, missing: Money) -> date | None:
    today = local_date(work.now, work.settings.zone)
    if missing <= ZERO:
        return today
    received = await income(work, since=today - LOOK_BACK)
    if received <= ZERO:
        return None
    days = -(-missing.minor * LOOK_BACK.days // received.minor)
    return today + timedelta(days=days) if days <= FARTHEST.days else None


async def income(work: UnitOfWork, *, since: date) -> Money:
    """Return what the pool was given since a day; what was kept and given back in between is no income."""
    found = await work.session.scalar(
        select(func.sum(EntryPosting.amount))
        .join(JournalEntry, JournalEntry.id == EntryPosting.entry_id)
        .where(
            EntryPosting.account == POOL,
            EntryPosting.amount < ZERO,
            JournalEntry.source != "pool",
            JournalEntry.date >= since,
        )
    )
    return ledger.natural(POOL, found or ZERO)


def _before(place: Place) -> ColumnElement[bool]:
    earlier = or_(
        Place.asked_at < place.asked_at, and_(Place.asked_at == place.asked_at, Place.id < place.id)
    )
    if place.credited:
        return and_(Place.credited.is_(True), earlier)
    return or_(Place.credited.is_(True), earlier)
