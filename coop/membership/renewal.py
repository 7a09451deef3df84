"""Renewal: telling members ahead that a year ends, and ending memberships that were not renewed."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, aliased, mapped_column

from coop import policies
from coop.clock import local_date
from coop.database import Base
from coop.identity.accounts import Account
from coop.membership import notices, terms
from coop.membership.terms import Member, Term
from coop.money import Money
from coop.policies import Dues
from coop.unit_of_work import UnitOfWork, Units

BATCH = 200
LAST_CALL = 0
"""As a number of days ahead: the letter that goes out before grace ends."""
LAST_WORD = timedelta(days=7)
"""How long before grace ends it does."""

Planned = Callable[[UnitOfWork, UUID], Awaitable[Money | None]]
"""Tells what an account will be charged by itself at the end of its year; nothing if nothing."""


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


async def lapse_due(units: Units) -> int:
    """Announce the end of every membership whose cover has run out; return how many (a job)."""
    ended = 0
    while True:
        async with units.read() as work:
            due = (
                await work.session.scalars(
                    select(Member.account_id)
                    .where(Member.active, Member.covered_until <= work.now)
                    .order_by(Member.covered_until)
                    .limit(BATCH)
                )
            ).all()
        if not due:
            return ended
        async with units.open() as work:
            for account_id in due:
                ended += await terms.end_cover(work, account_id)


async def remind_due(units: Units, planned: Planned | None = None) -> int:
    """Write to members whose year ends within the days of notice, once for each notice; return how many (a job)."""
    written = 0
    async with units.read() as work:
        dues = (await policies.in_force(work, Dues)).document
        days = sorted(dues.notice_days)
    # The nearest first: after a pause of the service nobody gets the earlier notice on top of the later one.
    for ahead in days:
        while True:
            async with units.read() as work:
                due = await _unannounced(work, ahead)
            if not due:
                break
            async with units.open() as work:
                for term_id, account_id in due:
                    written += await _remind(work, term_id, account_id, ahead, planned)
    if dues.grace_days:
        written += await _warn_of_lapse(units)
    return written


async def _warn_of_lapse(units: Units) -> int:
    """Write a last time to members whose grace is about to end, with the offer of a place."""
    written = 0
    while True:
        async with units.read() as work:
            due = await _unannounced(work, LAST_CALL)
        if not due:
            return written
        async with units.open() as work:
            for term_id, account_id in due:
                written += await _remind(work, term_id, account_id, LAST_CALL, None)


async def _unannounced(work: UnitOfWork, ahead: int) -> Sequence[tuple[UUID, UUID]]:
    later = aliased(Term)
    nearing = (
        (Term.ends > work.now, Term.ends <= work.now + timedelta(days=ahead))
        if ahead != LAST_CALL
        else (Term.ends <= work.now, Term.grace_until > work.now, Term.grace_until <= work.now + LAST_WORD)
    )
    rows = await work.session.execute(
        select(Term.id, Term.account_id)
        .join(Account, Account.id == Term.account_id)
        .where(
            *nearing,
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
        .order_by(Term.ends)
        .limit(BATCH)
    )
    return [(term_id, account_id) for term_id, account_id in rows]


async def _remind(
    work: UnitOfWork, term_id: UUID, account_id: UUID, ahead: int, planned: Planned | None
) -> bool:
    dialect = postgresql if work.session.get_bind().dialect.name == "postgresql" else sqlite
    first = await work.session.scalar(
        dialect.insert(RenewalNotice)
        .values(term_id=term_id, days=ahead)
        .on_conflict_do_nothing()
        .returning(RenewalNotice.term_id)
    )
    if first is None:
        return False
    term = await work.session.get_one(Term, term_id)
    account = await work.session.get_one(Account, account_id)
    if account.email is None:
        return False
    price = Money((await policies.in_force(work, Dues)).document.price)
    amount = await planned(work, account_id) if planned else None
    if ahead == LAST_CALL:
        letter = notices.grace_ends(work.settings, account.email, account.locale, term, price=price)
    else:
        letter = notices.year_ends(
            work.settings, account.email, account.locale, term, price=price, planned=amount
        )
    work.send(letter, dedupe_key=f"year-ends:{term_id}:{ahead}")
    return True
