"""The solidarity pool: what members gave beyond the price, reserved to the cent before anybody relies on it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, text, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import bulk, ledger
from coop.database import Base, changed, insert_once
from coop.errors import Refused
from coop.ledger import POOL, RESERVED
from coop.money import ZERO, Money
from coop.unit_of_work import UnitOfWork


class PoolEmpty(Refused):
    """The pool cannot cover another part of a year's dues just now."""

    code = "pool_empty"


class Reservation(Base):
    """A part of the pool that is kept for one purpose until it is spent or given back."""

    __tablename__ = "pool_reservations"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint("state IN ('held', 'spent', 'released')", name="state"),
        Index(
            "ix_pool_reservations_households",
            "made_at",
            sqlite_where=text("first_places > 0"),
            postgresql_where=text("first_places > 0"),
        ),
    )

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    amount: Mapped[Money]
    made_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="held")
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    first_places: Mapped[int] = mapped_column(default=0)
    """How many first years of a household it is for; a place of one person counts itself."""


async def free(work: UnitOfWork) -> Money:
    """Return what the pool could give at this moment."""
    return await ledger.balance(work, POOL)


async def reserve(
    work: UnitOfWork, amount: Money, *, key: str, person: UUID | None = None, first_places: int = 0
) -> None:
    """Keep `amount` of the pool under `key`, or raise `PoolEmpty`; repeating a key is an error of the caller.

    The pool's balance row is taken by a guarded UPDATE, which also holds it until commit, so that two reservations
    never keep the same last dollars.
    """
    if not await ledger.take(work, POOL, amount):
        raise PoolEmpty
    await insert_once(
        work.session,
        Reservation,
        key=key,
        amount=amount,
        made_at=work.now,
        state="held",
        ended_at=None,
        first_places=first_places,
    )
    await ledger.post(
        work,
        source="pool",
        external_id=f"reserve:{key}",
        description="Kept from the pool",
        postings=[ledger.debit(POOL, amount), ledger.credit(RESERVED, amount)],
        person=person,
    )


async def release(work: UnitOfWork, key: str) -> bool:
    """Give what is kept under `key` back to the pool; false if it was spent or given back before."""
    if not await _end(work, key, "released"):
        return False
    reservation = await work.session.get_one(Reservation, key, populate_existing=True)
    await ledger.post(
        work,
        source="pool",
        external_id=f"release:{key}",
        description="Given back to the pool",
        postings=[ledger.debit(RESERVED, reservation.amount), ledger.credit(POOL, reservation.amount)],
    )
    return True


async def kept(work: UnitOfWork, key: str) -> Money:
    """Return what is kept under `key` at this moment."""
    found = await work.session.get(Reservation, key, populate_existing=True)
    return found.amount if found is not None and found.state == "held" else ZERO


async def spend(work: UnitOfWork, key: str) -> Money | None:
    """Mark what is kept under `key` as used and return it; nothing if it was spent or given back before.

    The caller posts it, debiting Reserved, in the entry that says what for.
    """
    if not await _end(work, key, "spent"):
        return None
    return (await work.session.get_one(Reservation, key, populate_existing=True)).amount


async def reserve_all(work: UnitOfWork, kept: Sequence[tuple[str, Money]]) -> None:
    """Keep an amount under each of many keys; together they are no more than the caller has found free and holds."""
    await bulk.insert(
        work.session,
        Reservation,
        ("key", "amount", "made_at", "state", "ended_at", "first_places"),
        [(key, amount, work.now, "held", None, 0) for key, amount in kept],
    )
    await ledger.post_all(
        work,
        [
            ledger.Draft(
                "pool",
                f"reserve:{key}",
                "Kept from the pool",
                [ledger.debit(POOL, amount), ledger.credit(RESERVED, amount)],
            )
            for key, amount in kept
        ],
    )


async def release_all(work: UnitOfWork, keys: Sequence[str]) -> Money:
    """Give what is kept under any of many keys back to the pool, and return how much that is."""
    released = await _end_all(work, keys, "released")
    await ledger.post_all(
        work,
        [
            ledger.Draft(
                "pool",
                f"release:{key}",
                "Given back to the pool",
                [ledger.debit(RESERVED, amount), ledger.credit(POOL, amount)],
            )
            for key, amount in released.items()
        ],
    )
    return sum(released.values(), ZERO)


async def spend_all(work: UnitOfWork, keys: Sequence[str]) -> dict[str, Money]:
    """Mark what is kept under many keys as used, and return it; keys under which nothing is are left out."""
    return await _end_all(work, keys, "spent")


async def _end_all(work: UnitOfWork, keys: Sequence[str], state: str) -> dict[str, Money]:
    rows = await bulk.read(
        work.session,
        update(Reservation)
        .where(bulk.among(work.session, Reservation.key, keys), Reservation.state == "held")
        .values(state=state, ended_at=work.now)
        .returning(Reservation.key, Reservation.amount),
    )
    return {row[0]: row[1] for row in rows}


async def _end(work: UnitOfWork, key: str, state: str) -> bool:
    return await changed(
        work.session,
        update(Reservation)
        .where(Reservation.key == key, Reservation.state == "held")
        .values(state=state, ended_at=work.now),
    )
