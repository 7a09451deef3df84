"""Places: a year's dues paid in part or in whole from the pool, in the order of asking.

Whoever pays less than the price asks for a place, with one button, no reason and no proof. A place is given at once
when the pool covers it and nobody waits longer; else it queues. One row (`PlaceQueue`) is locked by every verb that
changes the order or spends for it, so that first come is first served on both engines.
"""

import secrets
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    func,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger, policies
from coop.clock import local_date
from coop.database import Base, changed
from coop.errors import NotAllowed, Refused
from coop.identity.accounts import Account
from coop.ledger import DEFERRED_DUES, MEMBER_CREDIT, RESERVED
from coop.mail import Letter
from coop.membership import terms
from coop.membership.terms import Term
from coop.money import ZERO, Money
from coop.policies import Dues, Pool, Version
from coop.sponsorship import pool
from coop.sponsorship.pool import PoolEmpty
from coop.unit_of_work import UnitOfWork, Units

OPEN = ("queued", "offered", "awarded")
_OPEN_SQL = "state IN ('queued', 'offered', 'awarded')"
BATCH = 50
"""How many places one unit of work gives at most; the job comes back for the rest."""


class EmailNeeded(NotAllowed):
    """A first place needs an e-mail address that you have confirmed: it keeps one person from taking many."""

    code = "verified_email_needed"


class AlreadyMember(Refused):
    """Your membership runs long enough; there is nothing to pay or to ask for yet."""

    code = "already_member"


class Place(Base):
    """One request for the pool's part of a year, from asking to the day it begins."""

    __tablename__ = "places"
    __table_args__ = (
        CheckConstraint("contribution >= 0", name="contribution"),
        CheckConstraint(
            "state IN ('queued', 'offered', 'awarded', 'begun', 'closed')",
            name="state",
        ),
        CheckConstraint("NOT credited OR contribution > 0", name="credited"),
        Index(
            "one_open_place",
            "account_id",
            unique=True,
            sqlite_where=text(_OPEN_SQL),
            postgresql_where=text(_OPEN_SQL),
        ),
        Index("ix_places_queue", "state", "asked_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, init=False
    )
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    asked_at: Mapped[datetime]
    contribution: Mapped[Money]
    """What the member pays of the price."""
    first: Mapped[bool]
    """The person has never been a member: such places are capped by the month."""
    state: Mapped[str] = mapped_column(String(10), default="queued")
    credited: Mapped[bool] = mapped_column(default=False)
    """The contribution is with us already (Member credit): head of the queue."""
    policy_version: Mapped[UUID | None] = mapped_column(ForeignKey("policy_versions.id"), default=None)
    """The dues under which the pool's part was reserved."""
    awarded_at: Mapped[datetime | None] = mapped_column(default=None)
    due_at: Mapped[datetime | None] = mapped_column(default=None)
    """Awarded: when the year begins. Offered: until when the offer stands."""
    held_until: Mapped[datetime | None] = mapped_column(default=None)
    """A checkout is open on this offer until then, at the longest."""
    term_id: Mapped[UUID | None] = mapped_column(ForeignKey("terms.id"), unique=True, default=None)

    @property
    def key(self) -> str:
        """Under which the pool keeps this place's part."""
        return f"place:{self.id}"


class PlaceQueue(Base):
    """The lock of the queue: one row, changed by everybody who gives a place or joins the line."""

    __tablename__ = "place_queue"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    turn: Mapped[int] = mapped_column(default=0)


async def ask(work: UnitOfWork, account_id: UUID, *, contribution: Money = ZERO) -> Place:
    """Ask for a place, or change what one would pay oneself; it may be given before this returns."""
    dues = await policies.in_force(work, Dues)
    if contribution < ZERO or contribution >= Money(dues.document.price):
        raise Refused("A place is for those who pay less than the price.")
    account = await work.session.get_one(Account, account_id)
    first = await terms.latest(work, account_id) is None
    await _may_have(work, account, first=first)
    await lock(work)
    place = await open_place(work, account_id)
    if place is not None and place.contribution == contribution:
        return place
    if place is not None and place.state == "queued" and not place.credited:
        # Nobody loses their place in the line by finding that they can give more, or less.
        place.contribution = contribution
        await work.session.flush()
    elif place is not None and place.state == "offered":
        await close(work, place)
        place = None
    elif place is not None:
        return place
    if place is None:
        place = Place(account_id=account_id, asked_at=work.now, contribution=contribution, first=first)
        work.session.add(place)
        await work.session.flush()
    await give(work, asking=place.id)
    await work.session.refresh(place)
    return place


async def credit(work: UnitOfWork, account_id: UUID, contribution: Money) -> Place:
    """Put somebody whose money arrived without a live reservation at the head of the queue."""
    await lock(work)
    place = await open_place(work, account_id)
    if place is not None and place.state in {"offered", "awarded"}:
        await close(work, place)
        place = None
    if place is None:
        first = await terms.latest(work, account_id) is None
        place = Place(account_id=account_id, asked_at=work.now, contribution=contribution, first=first)
        work.session.add(place)
    place.contribution = contribution
    place.credited = True
    await work.session.flush()
    await give(work)
    await work.session.refresh(place)
    return place


async def open_place(work: UnitOfWork, account_id: UUID) -> Place | None:
    """Return the open request of an account, if there is one."""
    found: Place | None = await work.session.scalar(
        select(Place)
        .where(Place.account_id == account_id, Place.state.in_(OPEN))
        .execution_options(populate_existing=True)
    )
    return found


async def give(work: UnitOfWork, *, asking: int | None = None) -> int:
    """Give places in the order of asking while the pool lasts; return how many.

    `asking` is the place of whoever asks at this moment: an offer to them lasts as long as their checkout.
    """
    await lock(work)
    dues = await policies.in_force(work, Dues)
    law = (await policies.in_force(work, Pool)).document
    left = law.max_new_places_month - await _first_places_this_month(work)
    queue = await work.session.scalars(
        select(Place)
        .where(Place.state == "queued")
        .order_by(Place.credited.desc(), Place.asked_at, Place.id)
        # With the month's first places given out, those who were members before still have their turn.
        .where(true() if left > 0 else Place.first.is_(False))
        .limit(BATCH)
    )
    given = 0
    for place in queue.all():
        if place.first and left <= 0:
            continue
        gap = Money(dues.document.price) - place.contribution
        if gap <= ZERO:
            # The price fell below what they chose to pay: nothing is needed of the pool, but an offer to pay is.
            await close(work, place)
            continue
        try:
            await pool.reserve(work, gap, key=place.key)
        except PoolEmpty:
            break
        place.awarded_at = work.now
        place.policy_version = dues.id
        left -= place.first
        given += 1
        if place.contribution and not place.credited:
            days = 0 if place.id == asking else law.offer_days
            place.state = "offered"
            place.due_at = work.now + timedelta(days=days)
            if days:
                await _offer_letter(work, place)
        else:
            place.state = "awarded"
            place.due_at = work.now + _delay(work)
        await work.session.flush()
        if place.state == "awarded" and place.due_at <= work.now:
            await begin(work, place)
    return given


async def begin(work: UnitOfWork, place: Place) -> bool:
    """Begin the year of an awarded place; false if somebody else did."""
    if not await changed(
        work.session,
        update(Place).where(Place.id == place.id, Place.state == "awarded").values(state="begun"),
    ):
        return False
    gap = await pool.spend(work, place.key)
    if gap is None or place.policy_version is None:
        msg = f"place {place.id} is awarded but nothing is reserved for it"
        raise LookupError(msg)
    dues = await dues_of(work, place.policy_version)
    paid = place.contribution if place.credited else ZERO
    postings = [ledger.debit(RESERVED, gap), ledger.credit(DEFERRED_DUES, Money(dues.document.price))]
    if paid:
        postings.insert(0, ledger.debit(MEMBER_CREDIT, paid))
    await ledger.post(
        work,
        source="place",
        external_id=str(place.id),
        description="Dues for a year",
        postings=postings,
        policy_version=dues.id,
        person=await ledger.references.of(work, place.account_id),
    )
    term = await terms.begin(work, place.account_id, dues=dues)
    await note_term(work, place.id, term.id)
    account = await work.session.get_one(Account, place.account_id)
    if account.email is not None:
        work.send(
            Letter(
                to=account.email,
                subject=f"You are a member of {work.settings.name}",
                body=(
                    f"Your membership has begun and runs until {last_day(work, term):%Y-%m-%d}.\n\n"
                    f"Your page: {work.settings.url('/account')}\n"
                ),
            ),
            dedupe_key=f"place-begun:{place.id}",
        )
    return True


async def hold(work: UnitOfWork, place: Place, until: datetime) -> bool:
    """Keep an offer open while a checkout on it is; false if it has lapsed meanwhile."""
    return await changed(
        work.session,
        update(Place).where(Place.id == place.id, Place.state == "offered").values(held_until=until),
    )


async def let_go(work: UnitOfWork, place_id: int) -> None:
    """Note that the checkout on an offer has ended unpaid; an offer from the queue stands until its day."""
    place = await work.session.get_one(Place, place_id, populate_existing=True)
    place.held_until = None
    await work.session.flush()
    if place.state == "offered" and place.due_at is not None and place.due_at <= work.now:
        await close(work, place)
        await give(work)


async def take_up(work: UnitOfWork, place_id: int) -> Money | None:
    """Use the offer that a paid checkout relied on; return the pool's part, or nothing if it has lapsed."""
    place = await work.session.get_one(Place, place_id, populate_existing=True)
    if not await changed(
        work.session,
        update(Place)
        .where(Place.id == place_id, Place.state == "offered")
        .values(state="begun", held_until=None),
    ):
        return None
    return await pool.spend(work, place.key)


async def note_term(work: UnitOfWork, place_id: int, term_id: UUID) -> None:
    """Remember which year a place helped to begin."""
    await work.session.execute(update(Place).where(Place.id == place_id).values(term_id=term_id))


async def close(work: UnitOfWork, place: Place) -> None:
    """End a request that has not begun, giving back what was kept for it."""
    if await changed(
        work.session,
        update(Place).where(Place.id == place.id, Place.state.in_(OPEN)).values(state="closed"),
    ):
        await pool.release(work, place.key)
        await work.session.refresh(place)


async def withdraw(work: UnitOfWork, account_id: UUID) -> bool:
    """Take a request back; money that waits with it stays with us until it is sent back (coop.billing)."""
    await lock(work)
    place = await open_place(work, account_id)
    if place is None or place.credited or place.held_until is not None:
        return False
    await close(work, place)
    await give(work)
    return True


async def grant_due(units: Units) -> int:
    """Begin the places whose moment has come, let offers lapse, and give what the pool now covers (a job)."""
    done = 0
    async with units.open() as work:
        await lock(work)
        lapsed = await work.session.scalars(
            select(Place).where(
                Place.state == "offered",
                Place.due_at <= work.now,
                (Place.held_until.is_(None)) | (Place.held_until <= work.now),
            )
        )
        for place in lapsed.all():
            await close(work, place)
            done += 1
        done += await give(work)
    async with units.open() as work:
        await lock(work)
        due = await work.session.scalars(
            select(Place).where(Place.state == "awarded", Place.due_at <= work.now).limit(BATCH)
        )
        for place in due.all():
            done += await begin(work, place)
    return done


async def dues_of(work: UnitOfWork, version_id: UUID) -> Version[Dues]:
    """Return the dues that a reservation, checkout or gift was made under."""
    version = await policies.get(work, version_id)
    if not isinstance(version.document, Dues):
        msg = f"policy version {version_id} is a {version.kind}, not dues"
        raise TypeError(msg)
    return version  # type: ignore[return-value]  # narrowed by the document


async def lock(work: UnitOfWork) -> None:
    """Hold the queue until commit; whoever moves the pool's money takes it first, so that no two units deadlock."""
    await work.session.execute(update(PlaceQueue).where(PlaceQueue.id == 1).values(turn=PlaceQueue.turn + 1))


async def _may_have(work: UnitOfWork, account: Account, *, first: bool) -> None:
    await may_renew(work, account.id)
    law = (await policies.in_force(work, Pool)).document
    if not first or not law.verified_email:
        return
    if account.email is None or account.email_verified_at is None:
        raise EmailNeeded


async def may_renew(work: UnitOfWork, account_id: UUID) -> None:
    """Refuse whoever is paid up beyond the first notice of the end."""
    latest = await terms.latest(work, account_id)
    if latest is None or latest.ended_early_at is not None:
        return
    notice = max((await policies.in_force(work, Dues)).document.notice_days)
    if latest.ends > work.now + timedelta(days=notice):
        raise AlreadyMember


async def _first_places_this_month(work: UnitOfWork) -> int:
    local = work.now.astimezone(work.settings.zone)
    start = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (
        await work.session.scalar(
            select(func.count())
            .select_from(Place)
            .where(
                Place.first.is_(True),
                Place.awarded_at >= start,
                Place.state != "closed",
            )
        )
        or 0
    )


def last_day(work: UnitOfWork, term: Term) -> date:
    """Return the last day of a year, in the co-op's time zone."""
    return local_date(term.ends, work.settings.zone) - timedelta(days=1)


def _delay(work: UnitOfWork) -> timedelta:
    """Return a random wait, so that nobody can match a gift to the membership that it began."""
    return timedelta(seconds=secrets.randbelow(work.settings.sponsorship_delay_hours * 3600 + 1))


async def _offer_letter(work: UnitOfWork, place: Place) -> None:
    account = await work.session.get_one(Account, place.account_id)
    if account.email is None or place.due_at is None:
        return
    amount = work.settings.money.plain(place.contribution)
    work.send(
        Letter(
            to=account.email,
            subject="Your membership can begin",
            body=(
                f"You asked to pay {amount} {work.settings.currency.upper()} for a year. The solidarity pool has kept "
                f"the rest for you until {place.due_at.astimezone(work.settings.zone):%Y-%m-%d}.\n\n"
                f"Pay your part here: {work.settings.url('/join')}\n"
            ),
        ),
        dedupe_key=f"place-offer:{place.id}",
    )
