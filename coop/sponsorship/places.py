"""Places: a year's dues paid in part or in whole from the pool; what becomes of one, from asking to its first day.

One row (`PlaceQueue`) is locked by every verb that changes the order or spends for it, so that first come is first
served on both engines.
"""

from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger, policies
from coop.clock import local_date
from coop.database import Base, changed
from coop.identity.accounts import Account
from coop.ledger import DEFERRED_DUES, MEMBER_CREDIT, RESERVED, Posting
from coop.membership import terms, vat
from coop.membership.terms import Term
from coop.money import ZERO, Money
from coop.policies import Dues, Version
from coop.sponsorship import letters, limits, pool
from coop.sponsorship.limits import AlreadyMember
from coop.unit_of_work import UnitOfWork

OPEN = ("queued", "offered", "awarded")
_OPEN_SQL = "state IN ('queued', 'offered', 'awarded')"

YEAR = "Dues for a year"
"""What the books say of a place that begins: no more than of a year that was paid for."""

End = Literal["withdrawn", "declined", "lapsed", "replaced", "needless", "refunded"]
"""Why a request ended without a year: taken back while it waited, an offer given back, an offer not taken up in time,
another request in its stead, a year or a price that made it needless, its money sent back."""


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
        CheckConstraint("credited OR payment_id IS NULL", name="payment"),
        CheckConstraint("(state = 'closed') = (ended_as IS NOT NULL)", name="ended"),
        CheckConstraint("(ended_as IS NULL) = (ended_at IS NULL)", name="ended_at"),
        Index(
            "one_open_place",
            "account_id",
            unique=True,
            sqlite_where=text(_OPEN_SQL),
            postgresql_where=text(_OPEN_SQL),
        ),
        Index("ix_places_line", "state", "credited", "asked_at", "id"),
        Index("ix_places_due", "state", "due_at", "id"),
        Index(
            "ix_places_address",
            "address",
            sqlite_where=text("address IS NOT NULL"),
            postgresql_where=text("address IS NOT NULL"),
        ),
        Index("ix_places_first", "awarded_at", sqlite_where=text("first"), postgresql_where=text("first")),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, init=False
    )
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    asked_at: Mapped[datetime]
    contribution: Mapped[Money]
    """What the member pays of the price."""
    first: Mapped[bool]
    """It would be the first year that the person keeps: such places are capped by the month."""
    state: Mapped[str] = mapped_column(String(10), default="queued")
    credited: Mapped[bool] = mapped_column(default=False)
    """The contribution is with us already (Member credit): head of the queue."""
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id"), unique=True, default=None)
    """The payment that brought it."""
    policy_version: Mapped[UUID | None] = mapped_column(ForeignKey("policy_versions.id"), default=None)
    """The dues under which the pool's part was reserved."""
    awarded_at: Mapped[datetime | None] = mapped_column(default=None)
    due_at: Mapped[datetime | None] = mapped_column(default=None)
    """Awarded: when the year begins. Offered: until when the offer stands."""
    held_until: Mapped[datetime | None] = mapped_column(default=None)
    """A checkout is open on this offer until then, at the longest."""
    term_id: Mapped[UUID | None] = mapped_column(ForeignKey("terms.id"), unique=True, default=None)
    address: Mapped[bytes | None] = mapped_column(LargeBinary(32), default=None, repr=False)
    """A keyed digest of the address that a first place was asked for with, so that it serves one account only; it is
    forgotten after a year."""
    ended_as: Mapped[str | None] = mapped_column(String(10), default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)

    @property
    def key(self) -> str:
        """Under which the pool keeps this place's part."""
        return key_of(self.id)

    def lapsed(self, now: datetime) -> bool:
        """Whether this is an offer whose days are over, with no payment under way."""
        late = self.state == "offered" and self.due_at is not None and self.due_at <= now
        return late and (self.held_until is None or self.held_until <= now)


class PlaceQueue(Base):
    """The lock of the queue: one row, changed by everybody who gives a place or joins the line."""

    __tablename__ = "place_queue"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    turn: Mapped[int] = mapped_column(default=0)


async def lock(work: UnitOfWork) -> None:
    """Hold the queue until commit; whoever moves the pool's money takes it first, so that no two units deadlock."""
    await work.session.execute(update(PlaceQueue).where(PlaceQueue.id == 1).values(turn=PlaceQueue.turn + 1))


async def open_place(work: UnitOfWork, account_id: UUID) -> Place | None:
    """Return the open request of an account, if there is one."""
    found: Place | None = await work.session.scalar(
        select(Place)
        .where(Place.account_id == account_id, Place.state.in_(OPEN))
        .execution_options(populate_existing=True)
    )
    return found


async def latest(work: UnitOfWork, account_id: UUID) -> Place | None:
    """Return the newest request of an account, however it ended."""
    found: Place | None = await work.session.scalar(
        select(Place).where(Place.account_id == account_id).order_by(Place.id.desc()).limit(1)
    )
    return found


async def begin(work: UnitOfWork, place: Place) -> bool:
    """Begin the year of an awarded place; false if somebody else did, or if it is not needed any more."""
    try:
        await limits.may_renew(work, place.account_id)
    except AlreadyMember:
        # A year was paid for, or given, while this one waited for its moment.
        await close(work, place, "needless")
        return False
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
    await ledger.post(
        work,
        source="place",
        external_id=str(place.id),
        description=YEAR,
        postings=funding(gap, paid, dues),
        policy_version=dues.id,
        person=await ledger.references.of(work, place.account_id),
    )
    term = await terms.begin(work, place.account_id, dues=dues)
    own = {} if place.payment_id is None else {place.payment_id: paid}
    await vat.due(work, term, paid=own, person=place.account_id)
    await note_term(work, place.id, term.id)
    account = await work.session.get_one(Account, place.account_id)
    letters.post(work, account, letters.BEGUN, key=f"place-begun:{place.id}", day=last_day(work, term))
    return True


def funding(gap: Money, paid: Money, dues: Version[Dues]) -> list[Posting]:
    """Return the postings by which a place pays for a year: what the pool kept, and what its member had paid already."""
    return [
        ledger.debit(MEMBER_CREDIT, paid),
        ledger.debit(RESERVED, gap),
        ledger.credit(DEFERRED_DUES, Money(dues.document.price)),
    ]


def key_of(place_id: int) -> str:
    """Return under which key the pool keeps a place's part."""
    return f"place:{place_id}"


async def hold(work: UnitOfWork, place_id: int, until: datetime) -> bool:
    """Keep an offer open while a checkout on it is; false if it has lapsed meanwhile."""
    return await changed(
        work.session,
        update(Place).where(Place.id == place_id, Place.state == "offered").values(held_until=until),
    )


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


async def close(work: UnitOfWork, place: Place, why: End) -> bool:
    """End a request that has not begun, giving back what was kept for it; false if it had ended."""
    if not await changed(
        work.session,
        update(Place)
        .where(Place.id == place.id, Place.state.in_(OPEN))
        .values(state="closed", ended_as=why, ended_at=work.now, held_until=None),
    ):
        return False
    await pool.release(work, place.key)
    await work.session.refresh(place)
    return True


async def dues_of(work: UnitOfWork, version_id: UUID) -> Version[Dues]:
    """Return the dues that a reservation, checkout or gift was made under."""
    version = await policies.get(work, version_id)
    if not isinstance(version.document, Dues):
        msg = f"policy version {version_id} is a {version.kind}, not dues"
        raise TypeError(msg)
    return version  # type: ignore[return-value]  # narrowed by the document


def last_day(work: UnitOfWork, term: Term) -> date:
    """Return the last day of a year, in the co-op's time zone."""
    return local_date(term.ends, work.settings.zone) - timedelta(days=1)
