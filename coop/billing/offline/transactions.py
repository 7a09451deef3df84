"""What the bank account received: one row for each credit of a statement, kept until somebody knows whose it is.

Nothing is booked before that: a statement also holds payouts of the card processor and grants, which are booked
elsewhere, and one payment must not stand in the books twice.
"""

import datetime as dt
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.billing.offline.statements import Line
from coop.database import Base, insert_once
from coop.errors import NotFound
from coop.money import Money
from coop.unit_of_work import UnitOfWork, Units, new_id

PAGE = 100
_CHUNK = 500
FORGET_AFTER = dt.timedelta(days=400)
"""Who sent what is the bank's to keep; here it is needed until nobody asks any more."""

Why = Literal[
    "no_reference",
    "several_references",
    "unknown_reference",
    "account_closed",
    "dispute_open",
    "too_small",
    "needs_email",
    "household_short",
    "gift_short",
]


class NoSuchTransaction(NotFound):
    """There is no such payment on the bank account, or it was decided already."""

    code = "no_such_transaction"


class BankTransaction(Base):
    """One credit on the bank account, and what became of it."""

    __tablename__ = "bank_transactions"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint(
            "state IN ('new', 'unmatched', 'matched', 'given', 'returning', 'returned', 'aside')",
            name="state",
        ),
        CheckConstraint("(state = 'matched') = (payment_id IS NOT NULL)", name="matched"),
        CheckConstraint("state <> 'unmatched' OR why IS NOT NULL", name="reasoned"),
        Index(
            "ix_bank_transactions_open",
            "state",
            "booked_on",
            sqlite_where=text("state IN ('new', 'unmatched', 'returning')"),
            postgresql_where=text("state IN ('new', 'unmatched', 'returning')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    key: Mapped[str] = mapped_column(String(100), unique=True)
    content: Mapped[str] = mapped_column(String(64))
    booked_on: Mapped[dt.date] = mapped_column(Date)
    amount: Mapped[Money]
    text: Mapped[str] = mapped_column(String(500), repr=False)
    payer: Mapped[str] = mapped_column(String(140), repr=False)
    payer_account: Mapped[str] = mapped_column(String(64), repr=False)
    imported_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="new")
    why: Mapped[str | None] = mapped_column(String(30), default=None)
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id"), unique=True, default=None)
    decided_at: Mapped[datetime | None] = mapped_column(default=None)


async def known(work: UnitOfWork, lines: Sequence[Line]) -> dict[str, str]:
    """Return the digests of those lines that an earlier import brought, by their keys."""
    found: dict[str, str] = {}
    keys = [line.key for line in lines]
    for start in range(0, len(keys), _CHUNK):
        rows = await work.session.execute(
            select(BankTransaction.key, BankTransaction.content).where(
                BankTransaction.key.in_(keys[start : start + _CHUNK])
            )
        )
        found.update((key, content) for key, content in rows)
    return found


async def keep(work: UnitOfWork, line: Line) -> UUID | None:
    """Keep a credit and return its id, or nothing if another import was quicker."""
    transaction_id = new_id()
    kept = await insert_once(
        work.session,
        BankTransaction,
        id=transaction_id,
        key=line.key,
        content=line.content,
        booked_on=line.booked_on,
        amount=line.amount,
        text=line.text,
        payer=line.payer,
        payer_account=line.account,
        imported_at=work.now,
        state="new",
        why=None,
        payment_id=None,
        decided_at=None,
    )
    return transaction_id if kept else None


async def unmatched(work: UnitOfWork) -> list[BankTransaction]:
    """Return the credits of which nobody knows yet whose they are, the oldest first."""
    return list(
        await work.session.scalars(
            select(BankTransaction)
            .where(BankTransaction.state == "unmatched")
            .order_by(BankTransaction.booked_on, BankTransaction.id)
            .limit(PAGE)
        )
    )


async def returning(work: UnitOfWork) -> list[BankTransaction]:
    """Return the credits that are to be sent back to whoever sent them."""
    return list(
        await work.session.scalars(
            select(BankTransaction)
            .where(BankTransaction.state == "returning")
            .order_by(BankTransaction.decided_at, BankTransaction.id)
            .limit(PAGE)
        )
    )


async def get(work: UnitOfWork, transaction_id: UUID, *, state: str = "unmatched") -> BankTransaction:
    """Return a credit that is in `state`, or refuse."""
    found = await work.session.get(BankTransaction, transaction_id, populate_existing=True)
    if found is None or found.state != state:
        raise NoSuchTransaction
    return found


async def move(
    work: UnitOfWork, transaction: BankTransaction, state: str, *, since: str, **values: object
) -> None:
    """Bring a credit from `since` to `state`; of two who decide at once, one is refused."""
    moved = await work.session.scalar(
        update(BankTransaction)
        .where(BankTransaction.id == transaction.id, BankTransaction.state == since)
        .values(state=state, decided_at=work.now, **values)
        .returning(BankTransaction.id)
        .execution_options(synchronize_session=False)
    )
    if moved is None:
        raise NoSuchTransaction
    await work.session.refresh(transaction)


async def forget_old(units: Units) -> int:
    """Forget who sent what was decided long ago; day, amount and key stay, so that no import brings it again (a job)."""
    async with units.open() as work:
        old = (
            select(BankTransaction.id)
            .where(
                BankTransaction.state.in_(("matched", "given", "returned", "aside")),
                BankTransaction.decided_at < work.now - FORGET_AFTER,
                func.length(BankTransaction.text + BankTransaction.payer + BankTransaction.payer_account) > 0,
            )
            .limit(_CHUNK)
        )
        done = await work.session.scalars(
            update(BankTransaction)
            .where(BankTransaction.id.in_(old.scalar_subquery()))
            .values(text="", payer="", payer_account="")
            .returning(BankTransaction.id)
            .execution_options(synchronize_session=False)
        )
        return len(done.all())
