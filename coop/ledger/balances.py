"""Balances: sums over the journal, and the two rows (pool, reserved) that keep anyone from spending the same money twice."""

import datetime as dt

from sqlalchemy import CheckConstraint, String, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Refused
from coop.ledger.chart import GUARDED, LedgerAccount, grows_by_debit
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.money import ZERO, Money
from coop.unit_of_work import UnitOfWork


class NotEnough(Refused):
    """There is not enough money for that."""

    code = "not_enough"


class LedgerBalance(Base):
    """What is free on a guarded ledger account; two rows, made by the migration."""

    __tablename__ = "ledger_balances"
    __table_args__ = (CheckConstraint("amount >= 0", name="amount"),)

    account: Mapped[str] = mapped_column(String(120), primary_key=True)
    amount: Mapped[Money]


async def balance(work: UnitOfWork, name: LedgerAccount) -> Money:
    """Return what stands on `name`, positive on the side on which it grows."""
    if name in GUARDED:
        free: Money | None = await work.session.scalar(
            select(LedgerBalance.amount).where(LedgerBalance.account == name)
        )
        return free or ZERO
    found: Money | None = await work.session.scalar(
        select(func.sum(EntryPosting.amount)).where(EntryPosting.account == name)
    )
    return natural(name, found or ZERO)


async def trial_balance(
    work: UnitOfWork, *, since: dt.date | None = None, before: dt.date | None = None
) -> dict[LedgerAccount, Money]:
    """Return the debits minus the credits of every ledger account, for entries dated from `since` until `before`."""
    statement = select(EntryPosting.account, func.sum(EntryPosting.amount))
    if since or before:
        statement = statement.join(JournalEntry, JournalEntry.id == EntryPosting.entry_id)
    if since:
        statement = statement.where(JournalEntry.date >= since)
    if before:
        statement = statement.where(JournalEntry.date < before)
    rows = await work.session.execute(statement.group_by(EntryPosting.account).order_by(EntryPosting.account))
    return {LedgerAccount(account): amount for account, amount in rows}


async def take(work: UnitOfWork, name: LedgerAccount, amount: Money) -> bool:
    """Tell whether `amount` is free on a guarded ledger account, and hold it until the unit ends.

    Nothing moves yet: the entry that the caller posts in the same unit does. Until then nobody else gets past here,
    so two units never spend the same last money.
    """
    _guarded(name)
    held = await work.session.scalar(
        update(LedgerBalance)
        .where(LedgerBalance.account == name, LedgerBalance.amount >= amount)
        .values(amount=LedgerBalance.amount)
        .returning(LedgerBalance.account)
        .execution_options(synchronize_session=False)
    )
    return held is not None


async def hold(work: UnitOfWork, name: LedgerAccount) -> Money:
    """Return what is free on a guarded ledger account, and keep everybody else from taking of it until the unit ends."""
    _guarded(name)
    free: Money | None = await work.session.scalar(
        update(LedgerBalance)
        .where(LedgerBalance.account == name)
        .values(amount=LedgerBalance.amount)
        .returning(LedgerBalance.amount)
        .execution_options(synchronize_session=False)
    )
    return free or ZERO


async def change(work: UnitOfWork, name: LedgerAccount, by: Money) -> None:
    """Move a guarded balance along with an entry, unless it would fall below zero."""
    _guarded(name)
    moved = await work.session.scalar(
        update(LedgerBalance)
        .where(LedgerBalance.account == name, LedgerBalance.amount >= -by)
        .values(amount=LedgerBalance.amount + by)
        .returning(LedgerBalance.account)
        .execution_options(synchronize_session=False)
    )
    if moved is None:
        raise NotEnough


def natural(name: str, debits: Money) -> Money:
    """Return a sum of debits minus credits as people read it: positive on the side on which `name` grows."""
    return debits if grows_by_debit(name) else -debits


def _guarded(name: LedgerAccount) -> None:
    if name not in GUARDED:
        msg = f"{name} has no balance row"
        raise ValueError(msg)
