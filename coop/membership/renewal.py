"""Renewal: telling members ahead that a year ends, and ending memberships that were not renewed."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKey, Select, exists, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, aliased, mapped_column

from coop import bulk, policies
from coop.clock import local_date
from coop.database import Base
from coop.identity.accounts import Account
from coop.membership import notices, terms
from coop.membership.events import MembershipEnded
from coop.membership.terms import Member, Term
from coop.money import Money
from coop.policies import Dues
from coop.progress import Tell, nobody
from coop.unit_of_work import UnitOfWork, Units

BATCH = 500
"""How many members one unit of work takes at most."""
LAST_CALL = 0
"""As a number of days ahead: the letter that goes out before grace ends."""
LAST_WORD = timedelta(days=7)
"""How long before grace ends it does."""

Planned = Callable[[UnitOfWork, Collection[UUID]], Awaitable[dict[UUID, Money]]]
"""Tells what accounts will be charged by themselves at the end of their year; those who will not be are left out."""


class RenewalNotice(Base):
    """That the end of a term was announced so many days ahead (0: that its grace ends); the key makes it once."""

    __tablename__ = "renewal_notices"

    term_id: Mapped[UUID] = mapped_column(ForeignKey("terms.id"), primary_key=True)
    days: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The end of a year that is near or past, for the member's own page."""

    ends: datetime
    membership_until: datetime
    days_left: int
    """Negative in grace."""


async def upcoming(work: UnitOfWork, account_id: UUID) -> Upcoming | None:
    """Return the end that an account should know of now: from the first notice on until the end of grace."""
    term = await terms.latest(work, account_id)
    if term is None or term.ended_early_at is not None or term.grace_until <= work.now:
        return None
    dues = (await policies.in_force(work, Dues)).document
    if term.ends > work.now + timedelta(days=max(dues.notice_days)):
        return None
    zone = work.settings.zone
    left = (local_date(term.ends, zone) - local_date(work.now, zone)).days
    return Upcoming(term.ends, term.grace_until, left)


async def count_ended(work: UnitOfWork) -> int:
    """Return how many memberships have run out and were not announced to have."""
    return await work.session.scalar(select(func.count()).where(*_ended(work))) or 0


async def lapse_due(units: Units, tell: Tell = nobody) -> int:
    """Announce the end of every membership whose cover has run out; return how many (a job)."""
    ended = 0
    while True:
        async with units.read() as work:
            # Most rounds find nothing; looking first keeps SQLite's one writer free.
            if await work.session.scalar(select(Member.account_id).where(*_ended(work)).limit(1)) is None:
                return ended
        async with units.open() as work:
            due = (
                select(Member.account_id)
                .where(*_ended(work))
                .order_by(Member.covered_until)
                .limit(BATCH)
                # What another unit holds at this moment is being renewed, or announced by it.
                .with_for_update(skip_locked=True)
            )
            gone = list(
                await work.session.scalars(
                    update(Member)
                    .where(Member.account_id.in_(due.scalar_subquery()))
                    .values(active=False)
                    .returning(Member.account_id)
                    .execution_options(synchronize_session=False)
                )
            )
            await work.publish_all(MembershipEnded(account_id=account_id) for account_id in gone)
        if not gone:
            return ended
        ended += len(gone)
        tell(len(gone))


def _ended(work: UnitOfWork) -> tuple[ColumnElement[bool], ...]:
    return Member.active.is_(True), Member.covered_until <= work.now


async def count_unannounced(work: UnitOfWork) -> int:
    """Return how many ends of years are to be announced, counting one that two notices are due for twice."""
    dues = (await policies.in_force(work, Dues)).document
    ahead = [*dues.notice_days, *([LAST_CALL] if dues.grace_days else [])]
    counts = [
        await work.session.scalar(select(func.count()).select_from(_unannounced(work, days).subquery()))
        for days in ahead
    ]
    return sum(count or 0 for count in counts)


async def remind_due(units: Units, planned: Planned | None = None, tell: Tell = nobody) -> int:
    """Write to members whose year ends within the days of notice, once for each notice; return how many (a job).

    The nearest first: after a pause of the service nobody gets the earlier notice on top of the later one. Last those whose
    grace is about to end, with the offer of a place.
    """
    async with units.read() as work:
        dues = (await policies.in_force(work, Dues)).document
    written = 0
    for ahead in sorted(dues.notice_days):
        written += await _remind_all(units, ahead, planned, tell)
    if dues.grace_days:
        written += await _remind_all(units, LAST_CALL, None, tell)
    return written


async def _remind_all(units: Units, ahead: int, planned: Planned | None, tell: Tell) -> int:
    written = 0
    after: tuple[datetime, UUID] | None = None
    while True:
        async with units.read() as look:
            # Most rounds find nothing; looking first keeps SQLite's one writer free.
            if (await look.session.execute(_unannounced(look, ahead, after).limit(1))).first() is None:
                return written
        try:
            batch = await _batch(units, ahead, planned, after)
        except IntegrityError:
            # Another worker has announced some of them in the same moment, and sees to the rest of them.
            batch = await _batch(units, ahead, planned, after)
        if not batch.noted:
            return written
        after = batch.last
        written += batch.written
        tell(batch.noted)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What became of one batch of notices."""

    noted: int = 0
    written: int = 0
    last: tuple[datetime, UUID] | None = None


def _unannounced(
    work: UnitOfWork, ahead: int, after: tuple[datetime, UUID] | None = None
) -> Select[UUID, UUID, datetime, datetime, str, str]:
    later = aliased(Term)
    nearing = (
        (Term.ends > work.now, Term.ends <= work.now + timedelta(days=ahead))
        if ahead != LAST_CALL
        else (Term.ends <= work.now, Term.grace_until > work.now, Term.grace_until <= work.now + LAST_WORD)
    )
    passed = () if after is None else (tuple_(Term.ends, Term.id) > tuple_(*after),)
    return (
        select(
            Term.id,
            Term.account_id,
            Term.ends,
            Term.grace_until,
            func.coalesce(Account.email, ""),
            Account.locale,
        )
        .join(Account, Account.id == Term.account_id)
        .where(
            *nearing,
            *passed,
            Term.ended_early_at.is_(None),
            Account.email_verified_at.is_not(None),
            Account.locked_at.is_(None),
            Account.erased_at.is_(None),
            ~exists().where(
                later.account_id == Term.account_id,
                later.ordinal > Term.ordinal,
                later.ended_early_at.is_(None),
            ),
            ~exists().where(RenewalNotice.term_id == Term.id, RenewalNotice.days <= ahead),
        )
    )


async def _batch(
    units: Units, ahead: int, planned: Planned | None, after: tuple[datetime, UUID] | None
) -> _Batch:
    """Announce one batch of ends."""
    async with units.open() as work:
        statement = _unannounced(work, ahead, after).order_by(Term.ends, Term.id).limit(BATCH)
        rows = (await work.session.execute(statement)).all()
        if not rows:
            return _Batch()
        noted = [(term_id, ahead) for term_id, *_ in rows]
        await bulk.insert(work.session, RenewalNotice, ("term_id", "days"), noted)
        price = Money((await policies.in_force(work, Dues)).document.price)
        amounts = await planned(work, [row.account_id for row in rows]) if planned else {}
        letters = [
            (
                notices.written(
                    work.settings,
                    to,
                    locale,
                    notices.Ending(term_id, ends, grace_until),
                    price=price,
                    planned=amounts.get(account_id),
                    last_call=ahead == LAST_CALL,
                ),
                f"year-ends:{term_id}:{ahead}",
            )
            for term_id, account_id, ends, grace_until, to, locale in rows
            if to
        ]
        await work.send_all(letters)
    return _Batch(len(rows), len(letters), (rows[-1].ends, rows[-1].id))
