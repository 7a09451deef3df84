"""VAT payments: what of the VAT payable was paid to the tax office, for which period and under which reference.

One payment is recorded once per period and reference, and never more than is owed at that moment. A mistake is undone by
the opposite entry; then the same period and reference may be recorded anew.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    String,
    case,
    extract,
    func,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.clock import local_date
from coop.database import Base, changed
from coop.errors import Invalid, NotFound, Refused
from coop.ledger import BANK, VAT_PAYABLE, JournalEntry
from coop.membership.vat import VatLine
from coop.money import Money
from coop.sponsorship import places
from coop.unit_of_work import UnitOfWork, new_id

SOURCE = "vat_payment"
"""The source of the entries that book it."""
SHOWN = 100
MONTHS = 36
_PERIOD = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2]|Q[1-4]))?", re.ASCII)
_LONGEST = 60


class VatNotOwed(Invalid):
    """That is more than the VAT that is owed now."""

    code = "vat_not_owed"


class VatRecorded(Refused):
    """That payment to the tax office is recorded already."""

    code = "vat_recorded"


class NoSuchVatPayment(NotFound):
    """There is no such payment to the tax office, or it was undone already."""

    code = "no_such_vat_payment"


class VatPayment(Base):
    """One payment to the tax office."""

    __tablename__ = "vat_payments"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        Index(
            "one_vat_payment",
            "period",
            "reference",
            unique=True,
            sqlite_where=text("undone_at IS NULL"),
            postgresql_where=text("undone_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    period: Mapped[str] = mapped_column(String(7))
    """A month, quarter or year: 2026-11, 2026-Q4, 2026."""
    reference: Mapped[str] = mapped_column(String(60))
    amount: Mapped[Money]
    recorded_at: Mapped[datetime]
    undone_at: Mapped[datetime | None] = mapped_column(default=None)


class PayVat(msgspec.Struct, frozen=True, kw_only=True, tag="pay_vat"):
    """VAT that was paid to the tax office."""

    period: str
    reference: str
    amount: int


class UndoVat(msgspec.Struct, frozen=True, kw_only=True, tag="undo_vat"):
    """A payment to the tax office that was recorded by mistake, or came back."""

    payment_id: UUID


@dataclass(frozen=True, slots=True)
class Month:
    """What of the VAT in dues one month brought, at one rate."""

    first: dt.date
    rate: int
    arose: Money
    went_back: Money

    @property
    def due(self) -> Money:
        """What is left of it; less than nothing where more went back than arose."""
        return self.arose - self.went_back


async def owed(work: UnitOfWork) -> Money:
    """Return what is owed to the tax office; less than nothing where VAT went back after it was paid over."""
    return await ledger.balance(work, VAT_PAYABLE)


async def weigh(work: UnitOfWork, act: PayVat | UndoVat) -> Money:
    """Return what an act moves, or refuse it."""
    if isinstance(act, UndoVat):
        return (await get(work, act.payment_id)).amount
    if not _PERIOD.fullmatch(act.period) or _begins(act.period) > local_date(work.now, work.settings.zone):
        raise Invalid(
            "Write a period that has begun: a month, quarter or year, as 2026-11, 2026-Q4 or 2026.",
            field="period",
        )
    reference = _plain(act.reference)
    if not reference or len(reference) > _LONGEST:
        raise Invalid(
            "Write the reference of the payment, as your bank has it: at most 60 characters.",
            field="reference",
        )
    if act.amount <= 0:
        raise Invalid("Write an amount of more than nothing.", field="amount")
    found = await _recorded(work, act.period, reference)
    if found is not None and found.amount == Money(act.amount):
        raise VatRecorded
    if found is not None:
        raise Invalid(
            "Another amount is recorded under that period and reference. Undo it first if it was wrong.",
            field="reference",
        )
    if Money(act.amount) > await owed(work):
        raise VatNotOwed(field="amount")
    return Money(act.amount)


async def carry_out(work: UnitOfWork, act: PayVat | UndoVat) -> None:
    """Book it; the caller has asked who may."""
    # Whoever moves VAT holds the queue, so that two payments never rely on the same balance.
    await places.lock(work)
    amount = await weigh(work, act)
    if isinstance(act, UndoVat):
        await _undo(work, act.payment_id)
        return
    payment = VatPayment(
        period=act.period, reference=_plain(act.reference), amount=amount, recorded_at=work.now
    )
    work.session.add(payment)
    await work.session.flush()
    await ledger.post(
        work,
        source=SOURCE,
        external_id=str(payment.id),
        description=f"VAT paid to the tax office for {payment.period}, {payment.reference}",
        postings=[ledger.debit(VAT_PAYABLE, amount), ledger.credit(BANK, amount)],
    )


async def latest(work: UnitOfWork) -> Sequence[VatPayment]:
    """Return the payments that were recorded, the newest first."""
    found = select(VatPayment).order_by(VatPayment.recorded_at.desc(), VatPayment.id).limit(SHOWN)
    return (await work.session.scalars(found)).all()


async def get(work: UnitOfWork, payment_id: UUID) -> VatPayment:
    """Return a payment that stands, or refuse."""
    found = await work.session.get(VatPayment, payment_id, populate_existing=True)
    if found is None or found.undone_at is not None:
        raise NoSuchVatPayment
    return found


async def months(work: UnitOfWork) -> list[Month]:
    """Return what VAT each of the last months brought, by rate, the newest first."""
    year, month = extract("year", JournalEntry.date), extract("month", JournalEntry.date)
    line = type_coerce(VatLine.vat, BigInteger)
    rows = await work.session.execute(
        select(
            year,
            month,
            VatLine.rate,
            func.sum(case((line > 0, line), else_=0)),
            func.sum(case((line < 0, -line), else_=0)),
        )
        .join(JournalEntry, JournalEntry.id == VatLine.entry_id)
        .group_by(year, month, VatLine.rate)
        .order_by(year.desc(), month.desc(), VatLine.rate)
        .limit(MONTHS)
    )
    return [
        Month(dt.date(int(y), int(m), 1), rate, Money(int(arose)), Money(int(back)))
        for y, m, rate, arose, back in rows
    ]


async def _undo(work: UnitOfWork, payment_id: UUID) -> None:
    if not await changed(
        work.session,
        update(VatPayment)
        .where(VatPayment.id == payment_id, VatPayment.undone_at.is_(None))
        .values(undone_at=work.now),
    ):
        raise NoSuchVatPayment
    entry = await ledger.find(work, SOURCE, str(payment_id))
    if entry is None:
        msg = f"VAT payment {payment_id} has no journal entry"
        raise LookupError(msg)
    await ledger.reverse(work, entry.id, description=f"Undone: {entry.description}")


async def _recorded(work: UnitOfWork, period: str, reference: str) -> VatPayment | None:
    found: VatPayment | None = await work.session.scalar(
        select(VatPayment).where(
            VatPayment.period == period, VatPayment.reference == reference, VatPayment.undone_at.is_(None)
        )
    )
    return found


def _begins(period: str) -> dt.date:
    year, _, part = period.partition("-")
    month = 3 * int(part[1]) - 2 if part.startswith("Q") else int(part or 1)
    return dt.date(int(year), month, 1)


def _plain(reference: str) -> str:
    return " ".join(reference.split())
