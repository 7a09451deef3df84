"""The outlook: a place and a date for whoever waits, and what everybody may see of the pool.

What everybody sees is of the morning, not of the moment: with the pool's balance at hand to the second, a network could
match a gap that was reserved, or a place that was given, to the membership that began with it.
"""

import datetime as dt
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import ColumnElement, Date, and_, func, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger, policies
from coop.clock import local_date, month_anniversary
from coop.database import Base, insert_once
from coop.ledger import POOL, EntryPosting, JournalEntry
from coop.money import ZERO, Money
from coop.policies import Dues, Pool
from coop.sponsorship import pool, queue
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units

LOOK_BACK = timedelta(days=90)
FARTHEST = timedelta(days=1826)
"""Beyond five years a date would only pretend to know."""


class PoolMorning(Base):
    """What was in the pool, and how many waited, when a day began."""

    __tablename__ = "pool_mornings"

    day: Mapped[dt.date] = mapped_column(Date, primary_key=True)
    free: Mapped[Money]
    waiting: Mapped[int]


@dataclass(frozen=True, slots=True)
class Figures:
    """What everybody may see of the pool; `since` is empty for figures of the moment."""

    free: Money
    waiting: int
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the queue, counted from one, and when it may be reached."""

    position: int
    expected: date | None


async def figures(work: UnitOfWork) -> Figures:
    """Return the pool as of this morning; where places begin without a wait there is nothing to hide by one."""
    if not work.settings.sponsorship_delay_hours:
        return await _now(work)
    row = await work.session.scalar(select(PoolMorning).order_by(PoolMorning.day.desc()).limit(1))
    if row is None:
        return Figures(ZERO, 0, local_date(work.now, work.settings.zone))
    return Figures(row.free, row.waiting, row.day)


async def note_morning(units: Units) -> bool:
    """Write down what is in the pool, once a day (a job)."""
    async with units.read() as work:
        today = local_date(work.now, work.settings.zone)
        if await work.session.get(PoolMorning, today) is not None:
            return False
    async with units.open() as work:
        found = await _now(work)
        return await insert_once(work.session, PoolMorning, day=today, free=found.free, waiting=found.waiting)


async def where(work: UnitOfWork, place: Place) -> Where:
    """Return where a request stands, and when the pool would reach it at the pace of the last ninety days."""
    before = _before(place)
    ahead, given, firsts = (
        await work.session.execute(
            select(
                func.count(), func.sum(Place.contribution), func.count().filter(Place.first.is_(True))
            ).where(Place.state == "queued", before)
        )
    ).one()
    price = Money((await policies.in_force(work, Dues)).document.price)
    needed = price * (ahead + 1) - (given or ZERO) - place.contribution
    by_money = await _by_money(work, needed - await pool.free(work))
    if by_money is None or not place.first:
        return Where(ahead + 1, by_money)
    by_law = await _by_law(work, firsts + 1)
    return Where(ahead + 1, None if by_law is None else max(by_money, by_law))


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


async def _now(work: UnitOfWork) -> Figures:
    waiting = await work.session.scalar(select(func.count()).where(Place.state == "queued")) or 0
    return Figures(await pool.free(work), waiting)


async def _by_money(work: UnitOfWork, missing: Money) -> date | None:
    """Return the day on which the pool has received what is missing."""
    today = local_date(work.now, work.settings.zone)
    if missing <= ZERO:
        return today
    received = await income(work, since=today - LOOK_BACK)
    if received <= ZERO:
        return None
    days = -(-missing.minor * LOOK_BACK.days // received.minor)
    return today + timedelta(days=days) if days <= FARTHEST.days else None


async def _by_law(work: UnitOfWork, firsts: int) -> date | None:
    """Return the day on which the month's limit has let so many first places pass."""
    today = local_date(work.now, work.settings.zone)
    limit = (await policies.in_force(work, Pool)).document.max_new_places_month
    over = firsts - (limit - await queue.first_places_this_month(work))
    if over <= 0:
        return today
    months = -(-over // limit) if limit else 0
    if not months or months > FARTHEST.days // 30:
        return None
    return month_anniversary(today.replace(day=1), months)


def _before(place: Place) -> ColumnElement[bool]:
    earlier = or_(
        Place.asked_at < place.asked_at, and_(Place.asked_at == place.asked_at, Place.id < place.id)
    )
    if place.credited:
        return and_(Place.credited.is_(True), earlier)
    return or_(Place.credited.is_(True), earlier)
