"""Terms: membership years `[begins, ends)` of one account, to the day in the co-op's time zone.

A term holds no trace of who paid for it, not even the minute at which it was granted: it begins with its day.
"""

from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    SmallInteger,
    UniqueConstraint,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.clock import anniversary, local_date, midnight
from coop.database import Base, Row
from coop.errors import NotFound, Refused
from coop.membership.events import MembershipActivated, MembershipEnded, TermBegan
from coop.membership.months import last_of_month
from coop.membership.years import Last, Year, following, year_of
from coop.money import Money, vat_within
from coop.policies import Dues, Version
from coop.unit_of_work import UnitOfWork, new_id


class TermCollision(Refused):
    """Another year was granted to this account at the same moment; look again."""

    code = "term_collision"


class NoSuchTerm(NotFound):
    """There is no such year of membership, or it has ended."""

    code = "no_such_term"


class Member(Base):
    """An account that has or had a membership; `active` is what networks were last told."""

    __tablename__ = "members"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    first_day: Mapped[date] = mapped_column(Date)
    """The first day of all; voting age counts from the running membership's, see `Term.first_day`."""
    active: Mapped[bool]
    covered_until: Mapped[datetime] = mapped_column(index=True)
    """The instant at which membership ends unless something happens, grace included."""


class Term(Base):
    """One year; the database refuses overlaps, and changes of anything but an early end (triggers)."""

    __tablename__ = "terms"
    __table_args__ = (
        UniqueConstraint("account_id", "ordinal"),
        CheckConstraint("ends > begins", name="forward"),
        CheckConstraint("grace_until >= ends", name="grace"),
        CheckConstraint("ordinal >= 1 AND year >= 1", name="count"),
        CheckConstraint("ended_early_at >= begins AND ended_early_at <= ends", name="early"),
        CheckConstraint("vat_rate >= 0", name="vat"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    ordinal: Mapped[int]
    """The how-manieth term of the account; the database takes them in order only."""
    first_day: Mapped[date] = mapped_column(Date)
    """The day from which this unbroken membership counts its anniversaries."""
    year: Mapped[int]
    """The how-manieth year since `first_day`."""
    begins: Mapped[datetime]
    ends: Mapped[datetime] = mapped_column(index=True)
    grace_until: Mapped[datetime]
    price: Mapped[Money]
    policy_version: Mapped[UUID] = mapped_column(ForeignKey("policy_versions.id"))
    vat_rate: Mapped[int] = mapped_column(SmallInteger, default=0)
    """The VAT that the price contains, in basis points: the rate of the day on which the year was granted."""
    ended_early_at: Mapped[datetime | None] = mapped_column(default=None)

    @property
    def vat(self) -> Money:
        """What of the price is VAT; it is nobody's share."""
        return vat_within(self.price, self.vat_rate)

    @property
    def net(self) -> Money:
        """What of the price is earned as the months pass."""
        return self.price - self.vat

    @property
    def last_instant(self) -> datetime:
        """The instant at which this term stops covering its member, grace included unless it ended early."""
        return self.ended_early_at or self.grace_until

    @property
    def void(self) -> bool:
        """Whether this year was given back before it began: then it never was."""
        return self.ended_early_at is not None and self.ended_early_at <= self.begins

    @property
    def as_last(self) -> Last:
        """What the next year is reckoned from."""
        return Last(self.first_day, self.year, self.begins, self.ends, self.grace_until, self.ended_early_at)


async def begin(work: UnitOfWork, account_id: UUID, *, dues: Version[Dues]) -> Term:
    """Grant a year: the first, the next (from the old end, in grace, too), or a new first one after a lapse."""
    previous = await latest(work, account_id)
    year = following(
        None if previous is None else previous.as_last,
        now=work.now,
        zone=work.settings.zone,
        grace_days=dues.document.grace_days,
    )
    rate = work.settings.vat_rate(local_date(work.now, work.settings.zone))
    ordinal = 1 + await _count(work, account_id)
    return await _grant(work, _term(account_id, dues, year, ordinal=ordinal, vat_rate=rate))


async def take_over(
    work: UnitOfWork, account_id: UUID, *, first_day: date, year: int, dues: Version[Dues], vat_rate: int
) -> Term:
    """Grant the running year of a membership that was begun and paid for elsewhere: the `year`-th since `first_day`."""
    zone = work.settings.zone
    begins = midnight(anniversary(first_day, year - 1), zone)
    running = year_of(first_day, year, begins, zone, dues.document.grace_days)
    ordinal = 1 + await _count(work, account_id)
    return await _grant(work, _term(account_id, dues, running, ordinal=ordinal, vat_rate=vat_rate))


def first_year(
    account_id: UUID, dues: Dues, version: UUID, *, now: datetime, zone: ZoneInfo, vat_rate: int
) -> Row:
    """Return the columns of the first year of all of an account, which begins with the day of `now`."""
    year = following(None, now=now, zone=zone, grace_days=dues.grace_days)
    return _row(account_id, dues, version, year, ordinal=1, vat_rate=vat_rate)


def announced(account_id: UUID, ends: datetime, zone: ZoneInfo) -> MembershipActivated:
    """Return what the networks are told when a membership begins or revives with a year that `ends` so."""
    # The end is the first day outside.
    last_day = local_date(ends, zone) - timedelta(days=1)
    return MembershipActivated(account_id=account_id, until=last_of_month(last_day))


async def latest(work: UnitOfWork, account_id: UUID) -> Term | None:
    """Return the newest term of an account, behind, now or ahead; one given back before it began never was."""
    found: Term | None = await work.session.scalar(
        select(Term)
        .where(
            Term.account_id == account_id,
            or_(Term.ended_early_at.is_(None), Term.ended_early_at > Term.begins),
        )
        .order_by(Term.ordinal.desc())
        .limit(1)
    )
    return found


async def current(work: UnitOfWork, account_id: UUID) -> Term | None:
    """Return the term that runs now; none in grace."""
    found: Term | None = await work.session.scalar(
        select(Term)
        .where(
            Term.account_id == account_id,
            Term.begins <= work.now,
            func.coalesce(Term.ended_early_at, Term.ends) > work.now,
        )
        .order_by(Term.ordinal.desc())
        .limit(1)
    )
    return found


async def history(work: UnitOfWork, account_id: UUID) -> list[Term]:
    """Return all terms of an account, the oldest first."""
    rows = await work.session.scalars(
        select(Term).where(Term.account_id == account_id).order_by(Term.ordinal)
    )
    return list(rows)


async def end_early(work: UnitOfWork, term_id: UUID, *, at: datetime | None = None) -> Term:
    """End a term now, before it has begun, or `at` a later instant within it. There is no grace after it."""
    term = await work.session.get(Term, term_id, populate_existing=True)
    if term is None or term.ended_early_at is not None or term.ends <= work.now:
        raise NoSuchTerm
    at = min(max(term.begins, work.now, at or work.now), term.ends)
    ended = await work.session.scalar(
        update(Term)
        .where(Term.id == term_id, Term.ended_early_at.is_(None))
        .values(ended_early_at=at)
        .returning(Term.id)
        .execution_options(synchronize_session=False)
    )
    if ended is None:
        raise NoSuchTerm
    await work.session.refresh(term)
    await _cover(work, term.account_id)
    return term


async def end_cover(work: UnitOfWork, account_id: UUID) -> bool:
    """Announce the end of a membership whose cover has run out; exactly once, whoever notices first."""
    ended = await work.session.scalar(
        update(Member)
        .where(Member.account_id == account_id, Member.active, Member.covered_until <= work.now)
        .values(active=False)
        .returning(Member.account_id)
        .execution_options(synchronize_session=False)
    )
    if ended is None:
        return False
    work.publish(MembershipEnded(account_id=account_id))
    return True


def _term(account_id: UUID, dues: Version[Dues], year: Year, *, ordinal: int, vat_rate: int) -> Term:
    return Term(**_row(account_id, dues.document, dues.id, year, ordinal=ordinal, vat_rate=vat_rate))


def _row(account_id: UUID, dues: Dues, version: UUID, year: Year, *, ordinal: int, vat_rate: int) -> Row:
    return {
        "id": new_id(),
        "account_id": account_id,
        "ordinal": ordinal,
        "first_day": year.first_day,
        "year": year.year,
        "begins": year.begins,
        "ends": year.ends,
        "grace_until": year.grace_until,
        "price": Money(dues.price),
        "policy_version": version,
        "vat_rate": vat_rate,
        "ended_early_at": None,
    }


async def _grant(work: UnitOfWork, term: Term) -> Term:
    try:
        async with work.session.begin_nested():
            work.session.add(term)
    except IntegrityError as error:
        raise TermCollision from error
    work.publish(TermBegan(account_id=term.account_id, term_id=term.id))
    await _activate(work, term)
    return term


async def _count(work: UnitOfWork, account_id: UUID) -> int:
    return await work.session.scalar(select(func.max(Term.ordinal)).where(Term.account_id == account_id)) or 0


async def _cover(work: UnitOfWork, account_id: UUID) -> None:
    """Bring the member's cover in line with the terms after one was cut short."""
    lived = [term for term in await history(work, account_id) if not term.void]
    covered = max((term.last_instant for term in lived), default=work.now)
    await work.session.execute(
        update(Member)
        .where(Member.account_id == account_id)
        .values(covered_until=covered)
        .execution_options(synchronize_session=False)
    )
    await end_cover(work, account_id)


async def _activate(work: UnitOfWork, term: Term) -> None:
    dialect = postgresql if work.session.get_bind().dialect.name == "postgresql" else sqlite
    # The first day of all stays when another term follows.
    await work.session.execute(
        dialect.insert(Member)
        .values(
            account_id=term.account_id,
            first_day=term.first_day,
            active=False,
            covered_until=term.grace_until,
        )
        .on_conflict_do_update(index_elements=["account_id"], set_={"covered_until": term.grace_until})
        .execution_options(synchronize_session=False)
    )
    activated = await work.session.scalar(
        update(Member)
        .where(Member.account_id == term.account_id, Member.active.is_(False))
        .values(active=True)
        .returning(Member.account_id)
        .execution_options(synchronize_session=False)
    )
    if activated is not None:
        work.publish(announced(term.account_id, term.ends, work.settings.zone))
