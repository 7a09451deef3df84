"""Receipts and credit notes: numbered without gaps in each year, drawn from the journal, and never changed.

They are issued after the payment has committed, by one procedure that numbers in order, so that payments never queue
for a number. What they say is kept as it was said; who it was said to is not in it, so erasure leaves them nameless.
"""

import datetime as dt
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Select,
    SmallInteger,
    String,
    Text,
    Update,
    exists,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger, policies
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.clock import local_date
from coop.database import Base, insert_once
from coop.ledger import (
    DEFERRED_DUES,
    GIFTS_OUTSTANDING,
    INSTALMENTS_DUE,
    MEMBER_CREDIT,
    POOL,
    RESERVED,
    LedgerAccount,
)
from coop.membership import vat
from coop.money import ZERO, Money
from coop.unit_of_work import UnitOfWork, Units, new_id

BATCH = 200
LOOK_BACK = dt.timedelta(days=35)
"""What is older and has no number gets one when its owner asks for it."""

Kind = Literal["receipt", "credit_note"]
What = Literal["dues", "pool_part", "to_pool", "gift", "credit", "instalment", "other", "given_back"]

_SAID: dict[LedgerAccount, What] = {
    DEFERRED_DUES: "dues",
    RESERVED: "pool_part",
    POOL: "to_pool",
    GIFTS_OUTSTANDING: "gift",
    MEMBER_CREDIT: "credit",
    INSTALMENTS_DUE: "instalment",
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what, and how much in minor units; what the pool added counts against what was paid."""

    what: What
    amount: int


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """The VAT in what was paid of dues, or given back of them, in minor units; the rate in basis points."""

    rate: int
    net: int
    vat: int
    gross: int


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says for good."""

    seller: str
    address: str
    currency: str
    method: Literal["card", "bank", "cash"]
    day: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    """The day of the payment, or on which it was given back."""
    amount: int
    lines: tuple[Line, ...]
    policy: int
    """The version of the dues that the payment was made under."""
    of: str = ""
    """On a credit note: the number of the receipt."""
    taxes: tuple[Tax, ...] = ()
    vat_number: str = ""
    """The seller's."""


class Receipt(Base):
    """A receipt of a payment, or a credit note of a refund; triggers refuse gaps, changes and removal."""

    __tablename__ = "receipts"
    __table_args__ = (
        CheckConstraint("kind IN ('receipt', 'credit_note')", name="kind"),
        CheckConstraint("(kind = 'credit_note') = (refund_id IS NOT NULL)", name="refund"),
        CheckConstraint("number > 0", name="positive"),
        Index("uq_receipts_number", "kind", "year", "number", unique=True),
        Index(
            "uq_receipts_payment",
            "payment_id",
            unique=True,
            sqlite_where=text("refund_id IS NULL"),
            postgresql_where=text("refund_id IS NULL"),
        ),
        Index("ix_receipts_payment_id", "payment_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    kind: Mapped[Kind] = mapped_column(String(12))
    year: Mapped[int] = mapped_column(SmallInteger)
    number: Mapped[int]
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    issued_at: Mapped[datetime]
    document: Mapped[str] = mapped_column(Text)
    refund_id: Mapped[UUID | None] = mapped_column(ForeignKey("refunds.id"), unique=True, default=None)

    @property
    def name(self) -> str:
        """The number as it is written: 2026-000042, C2026-000007."""
        return f"{'' if self.kind == 'receipt' else 'C'}{self.year}-{self.number:06d}"

    @property
    def said(self) -> Document:
        """What it says."""
        return msgspec.json.decode(self.document, type=Document)


class ReceiptSeries(Base):
    """The last number of a year; whoever issues holds its row until commit, so no number is lost or given twice."""

    __tablename__ = "receipt_series"
    __table_args__ = (CheckConstraint("last >= 0", name="positive"),)

    kind: Mapped[Kind] = mapped_column(String(12), primary_key=True)
    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    last: Mapped[int]


async def issue_due(units: Units) -> int:
    """Issue what was paid or given back lately and has no number yet, in that order (a job)."""
    async with units.read() as look:
        since = look.now - LOOK_BACK
        paid = await look.session.scalars(
            select(Payment.id)
            .where(Payment.received_at > since, ~exists().where(Receipt.payment_id == Payment.id))
            .order_by(Payment.received_at, Payment.id)
            .limit(BATCH)
        )
        back = await look.session.scalars(
            select(Refund.id)
            .where(
                Refund.state == "sent",
                Refund.intended_at > since,
                ~exists().where(Receipt.refund_id == Refund.id),
            )
            .order_by(Refund.intended_at, Refund.id)
            .limit(BATCH)
        )
        due = (list(paid), list(back))
    if not any(due):
        return 0
    async with units.open() as work:
        for payment_id in due[0]:
            await of_payment(work, await work.session.get_one(Payment, payment_id))
        for refund_id in due[1]:
            await of_refund(work, await work.session.get_one(Refund, refund_id))
    return len(due[0]) + len(due[1])


async def of_payment(work: UnitOfWork, payment: Payment) -> Receipt:
    """Return the receipt of a payment, issued now if it has none."""
    known = select(Receipt).where(Receipt.payment_id == payment.id, Receipt.kind == "receipt")
    found = await _known(work, "receipt", known)
    if found is not None:
        return found
    version = await policies.get(work, payment.policy_version)
    document = Document(
        seller=work.settings.name,
        address=work.settings.address,
        currency=work.settings.currency,
        method=payment.method,
        day=local_date(payment.received_at, work.settings.zone).isoformat(),
        amount=payment.amount.minor,
        lines=await _lines(work, payment),
        policy=version.number,
        taxes=_taxes(await vat.arisen(work, payment.id)),
        vat_number=work.settings.vat_number,
    )
    return await _issue(work, "receipt", document, payment_id=payment.id)


async def of_refund(work: UnitOfWork, refund: Refund) -> Receipt:
    """Return the credit note of a refund that was sent, issued now if it has none."""
    payment = await work.session.get_one(Payment, refund.payment_id)
    receipt = await of_payment(work, payment)
    found = await _known(work, "credit_note", select(Receipt).where(Receipt.refund_id == refund.id))
    if found is not None:
        return found
    document = msgspec.structs.replace(
        receipt.said,
        day=local_date(work.now, work.settings.zone).isoformat(),
        amount=refund.amount.minor,
        lines=(Line(what="given_back", amount=refund.amount.minor),),
        of=receipt.name,
        taxes=_taxes(await vat.returned(work, refund.id)),
    )
    return await _issue(work, "credit_note", document, payment_id=payment.id, refund_id=refund.id)


async def find(work: UnitOfWork, payment_id: UUID) -> list[Receipt]:
    """Return what was issued for a payment: its receipt first, then credit notes in their order."""
    return list(
        await work.session.scalars(
            select(Receipt)
            .where(Receipt.payment_id == payment_id)
            .order_by(Receipt.refund_id.is_not(None), Receipt.year, Receipt.number)
        )
    )


async def _known(work: UnitOfWork, kind: Kind, wanted: Select[Receipt]) -> Receipt | None:
    """Return what was issued already; if nothing was, wait for whoever is numbering, and look again."""
    found: Receipt | None = await work.session.scalar(wanted)
    if found is None:
        await insert_once(work.session, ReceiptSeries, kind=kind, year=_year(work), last=0)
        await work.session.execute(_series(work, kind).values(last=ReceiptSeries.last))
        found = await work.session.scalar(wanted)
    return found


async def _issue(
    work: UnitOfWork, kind: Kind, document: Document, *, payment_id: UUID, refund_id: UUID | None = None
) -> Receipt:
    number: int = (
        await work.session.execute(
            _series(work, kind).values(last=ReceiptSeries.last + 1).returning(ReceiptSeries.last)
        )
    ).scalar_one()
    receipt = Receipt(
        kind=kind,
        year=_year(work),
        number=number,
        payment_id=payment_id,
        issued_at=work.now,
        document=msgspec.json.encode(document).decode(),
        refund_id=refund_id,
    )
    work.session.add(receipt)
    await work.session.flush()
    return receipt


def _taxes(parts: Sequence[vat.Part]) -> tuple[Tax, ...]:
    return tuple(
        Tax(
            rate=part.rate,
            net=(part.dues - part.vat).minor,
            vat=part.vat.minor,
            gross=part.dues.minor,
        )
        for part in parts
    )


def _series(work: UnitOfWork, kind: Kind) -> Update:
    return (
        update(ReceiptSeries)
        .where(ReceiptSeries.kind == kind, ReceiptSeries.year == _year(work))
        .execution_options(synchronize_session=False)
    )


def _year(work: UnitOfWork) -> int:
    return local_date(work.now, work.settings.zone).year


async def _lines(work: UnitOfWork, payment: Payment) -> tuple[Line, ...]:
    """Draw the lines from the entry that booked the payment; they add up to what was paid."""
    entry = await ledger.find(work, "payment", payment.gateway_id)
    if entry is None:
        msg = f"payment {payment.id} has no journal entry"
        raise LookupError(msg)
    sums: dict[What, Money] = {}
    for posting in await ledger.postings_of(work, entry.id):
        what = _SAID.get(posting.account, "other")
        if not posting.account.startswith("Assets:") or what != "other":
            sums[what] = sums.get(what, ZERO) - posting.amount
    return tuple(Line(what=what, amount=amount.minor) for what, amount in sums.items() if amount)
