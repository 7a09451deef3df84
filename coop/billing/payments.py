"""Payments: money that a card, a bank transfer or cash brought, how it was divided, and the receipts that a person can print.

A payment is booked once (its id at the processor is unique) and settled once, when the processor has booked it on our
balance. A member's own rows are the only place outside the ledger that tells how a term was paid for.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.billing.gateway import GatewayRefused, PaymentState, Settlement
from coop.database import Base, Row, changed, insert_once
from coop.ledger import BANK, CASH, FEES, STRIPE, STRIPE_PENDING, LedgerAccount, Posting
from coop.money import ZERO, Money
from coop.unit_of_work import UnitOfWork, new_id

Method = Literal["card", "bank", "cash"]

ARRIVES_AT: dict[Method, LedgerAccount] = {"card": STRIPE_PENDING, "bank": BANK, "cash": CASH}
"""Where money is when it is first seen."""

SETTLED_AS = "Payment booked by the card processor"
"""What the books call a payment that has reached our balance at the processor."""


class Payment(Base):
    """One payment, and what became of it."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint("purpose IN ('dues', 'household', 'instalment', 'sponsor', 'gift')", name="purpose"),
        # We never give back more than was paid. A bank may dispute what was refunded, and that must be booked.
        CheckConstraint("refunded BETWEEN 0 AND amount AND disputed BETWEEN 0 AND amount", name="bounded"),
        CheckConstraint("(settlement IS NULL) = (fee IS NULL)", name="settled"),
        CheckConstraint("method IN ('card', 'bank', 'cash')", name="method"),
        # Money in the bank or in the till waits for no processor, and none is ever asked about it.
        CheckConstraint("method = 'card' OR settlement IS NOT NULL", name="at_hand"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    gateway_id: Mapped[str] = mapped_column(String(255), unique=True)
    purpose: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Money]
    price: Mapped[Money]
    policy_version: Mapped[UUID] = mapped_column(ForeignKey("policy_versions.id"))
    received_at: Mapped[datetime] = mapped_column(index=True)
    subscription: Mapped[str | None] = mapped_column(String(255), default=None)
    term_id: Mapped[UUID | None] = mapped_column(ForeignKey("terms.id"), unique=True, default=None)
    settlement: Mapped[str | None] = mapped_column(String(255), unique=True, default=None)
    fee: Mapped[Money | None] = mapped_column(default=None)
    refunded: Mapped[Money] = mapped_column(default=ZERO)
    """Given back, or on its way."""
    disputed: Mapped[Money] = mapped_column(default=ZERO)
    """Held or taken back by the payer's bank."""
    method: Mapped[Method] = mapped_column(String(10), default="card")

    @property
    def own_part(self) -> Money:
        """What of the dues this payment covered."""
        return min(self.amount, self.price)

    @property
    def surplus(self) -> Money:
        """What went to the pool beyond the price."""
        return self.amount - self.own_part

    @property
    def gap(self) -> Money:
        """What the pool added to reach the price."""
        return self.price - self.own_part


async def record(
    work: UnitOfWork,
    state: PaymentState,
    *,
    account_id: UUID,
    purpose: str,
    price: Money,
    policy_version: UUID,
    subscription: str | None = None,
    method: Method = "card",
) -> Payment | None:
    """Write down a payment that succeeded, or return nothing if that was done before."""
    if not state.succeeded or state.currency != work.settings.currency:
        raise GatewayRefused("That payment is not one of ours, or has not succeeded.")
    made = row(
        state,
        account_id=account_id,
        purpose=purpose,
        price=price,
        policy_version=policy_version,
        received_at=work.now,
        subscription=subscription,
        method=method,
    )
    if not await insert_once(work.session, Payment, **made):
        return None
    return await work.session.get_one(Payment, made["id"])


def row(
    state: PaymentState,
    *,
    account_id: UUID,
    purpose: str,
    price: Money,
    policy_version: UUID,
    received_at: datetime,
    subscription: str | None = None,
    method: Method = "card",
) -> Row:
    """Return the columns of a payment that has begun nothing yet, and is not settled unless it is at hand."""
    return {
        "id": new_id(),
        "account_id": account_id,
        "gateway_id": state.id,
        "purpose": purpose,
        "amount": state.amount,
        "price": price,
        "policy_version": policy_version,
        "received_at": received_at,
        "subscription": subscription,
        "term_id": None,
        "settlement": None if method == "card" else state.id,
        "fee": None if method == "card" else ZERO,
        "refunded": ZERO,
        "disputed": ZERO,
        "method": method,
    }


async def of_gateway(work: UnitOfWork, gateway_id: str) -> Payment | None:
    """Return the payment with this id at the processor."""
    found: Payment | None = await work.session.scalar(
        select(Payment).where(Payment.gateway_id == gateway_id).execution_options(populate_existing=True)
    )
    return found


async def settle(work: UnitOfWork, payment: Payment, settlement: Settlement | None) -> bool:
    """Move a payment from pending to our balance at the processor, less its fee, once that is known."""
    if settlement is None or not await changed(
        work.session,
        update(Payment)
        .where(Payment.id == payment.id, Payment.settlement.is_(None))
        .values(settlement=settlement.id, fee=settlement.fee),
    ):
        return False
    await ledger.post(
        work,
        source="stripe",
        external_id=settlement.id,
        description=SETTLED_AS,
        postings=settled(payment.amount, settlement),
    )
    return True


def settled(amount: Money, settlement: Settlement) -> list[Posting]:
    """Return the postings that move a payment to our balance at the processor, less its fee."""
    postings = [ledger.debit(STRIPE, settlement.net), ledger.credit(STRIPE_PENDING, amount)]
    # A foreign card's amount is booked as the processor converted it; the difference is a cost of the charge.
    cost = amount - settlement.net
    if cost:
        postings.insert(1, ledger.debit(FEES, cost) if cost > ZERO else ledger.credit(FEES, -cost))
    return postings


async def made_by(work: UnitOfWork, account_id: UUID) -> list[Payment]:
    """Return the payments of an account, the newest first."""
    found = await work.session.scalars(
        select(Payment)
        .where(Payment.account_id == account_id)
        .order_by(Payment.received_at.desc(), Payment.id)
        .limit(200)
    )
    return list(found)


async def receipt(work: UnitOfWork, account_id: UUID, payment_id: UUID) -> Payment | None:
    """Return one payment of an account, and nobody else's."""
    found: Payment | None = await work.session.scalar(
        select(Payment).where(Payment.id == payment_id, Payment.account_id == account_id)
    )
    return found
