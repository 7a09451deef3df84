"""Refunds: money on its way back, written down before it is sent and posted once it is.

Every refund moves Member credit to our balance at the processor; what becomes of the dues is booked by whoever intends
the refund, so one path serves withdrawals, double payments and credit that waited too long.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.billing.gateway import Gateway, RefundState
from coop.billing.payments import Payment
from coop.database import Base, changed
from coop.errors import Refused
from coop.identity.accounts import Account
from coop.ledger import MEMBER_CREDIT, RESERVE, STRIPE
from coop.mail import Letter
from coop.money import Money
from coop.unit_of_work import UnitOfWork, Units, new_id


class TooMuchBack(Refused):
    """No more can be given back than was paid, and nothing while the bank disputes it."""

    code = "refund_exceeds_payment"


class Refund(Base):
    """One amount given back on one payment; its id is the operation that the processor is told."""

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint("state IN ('intended', 'sent', 'failed')", name="state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    amount: Mapped[Money]
    reason: Mapped[str] = mapped_column(String(40))
    intended_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="intended", index=True)
    gateway_id: Mapped[str | None] = mapped_column(String(255), unique=True, default=None)


async def intend(work: UnitOfWork, payment: Payment, amount: Money, *, reason: str) -> Refund:
    """Write down that `amount` is to go back; the caller has moved it to Member credit."""
    if not await changed(
        work.session,
        update(Payment)
        .where(Payment.id == payment.id, Payment.refunded + amount <= Payment.amount - Payment.disputed)
        .values(refunded=Payment.refunded + amount),
    ):
        raise TooMuchBack
    refund = Refund(payment_id=payment.id, amount=amount, reason=reason, intended_at=work.now)
    work.session.add(refund)
    await work.session.flush()
    return refund


async def send(units: Units, gateway: Gateway, refund_id: UUID) -> None:
    """Ask the processor for an intended refund and book it; repeating it changes nothing."""
    async with units.read() as work:
        row = (
            await work.session.execute(
                select(Refund, Payment.gateway_id)
                .join(Payment, Payment.id == Refund.payment_id)
                # What did not come by card is sent back by hand (coop.billing.offline).
                .where(Refund.id == refund_id, Refund.state == "intended", Payment.method == "card")
            )
        ).first()
        age = None if row is None else work.now - row[0].intended_at
    if row is None or age is None:
        return
    state = await gateway.refund(operation=refund_id, age=age, payment=row[1], amount=row[0].amount)
    async with units.open() as work:
        await apply(work, state)


async def send_due(units: Units, gateway: Gateway) -> int:
    """Send what was intended and not yet sent (a job)."""
    async with units.read() as work:
        due = list(
            await work.session.scalars(
                select(Refund.id)
                .join(Payment, Payment.id == Refund.payment_id)
                .where(Refund.state == "intended", Payment.method == "card")
                .limit(50)
            )
        )
    for refund_id in due:
        await send(units, gateway, refund_id)
    return len(due)


async def apply(work: UnitOfWork, state: RefundState) -> bool:
    """Bring our books to what the processor says of a refund; false if there was nothing to do."""
    refund = None
    if state.operation is not None:
        refund = await work.session.get(Refund, state.operation, populate_existing=True)
    if refund is None:
        refund = await work.session.scalar(select(Refund).where(Refund.gateway_id == state.id))
    if refund is None:
        return await _from_outside(work, state)
    done = False
    if state.status in {"pending", "succeeded", "requires_action", "failed", "canceled"}:
        done = await _sent(work, refund, state)
    if state.status in {"failed", "canceled"}:
        done = await _failed(work, refund, state) or done
    return done


async def _sent(work: UnitOfWork, refund: Refund, state: RefundState) -> bool:
    if not await changed(
        work.session,
        update(Refund)
        .where(Refund.id == refund.id, Refund.state == "intended")
        .values(state="sent", gateway_id=state.id),
    ):
        return False
    await ledger.post(
        work,
        source="refund",
        external_id=state.id,
        description="Given back",
        postings=[
            ledger.debit(RESERVE if refund.reason == _OUTSIDE else MEMBER_CREDIT, refund.amount),
            ledger.credit(STRIPE, refund.amount),
        ],
        person=await _person(work, refund),
    )
    return True


async def _failed(work: UnitOfWork, refund: Refund, state: RefundState) -> bool:
    """Book money that could not be given back: it stays with us as the member's."""
    if not await changed(
        work.session,
        update(Refund).where(Refund.id == refund.id, Refund.state == "sent").values(state="failed"),
    ):
        return False
    await work.session.execute(
        update(Payment)
        .where(Payment.id == refund.payment_id)
        .values(refunded=Payment.refunded - refund.amount)
    )
    await ledger.post(
        work,
        source="refund",
        external_id=f"failed:{state.id}",
        description="Could not be given back",
        postings=[ledger.debit(STRIPE, refund.amount), ledger.credit(MEMBER_CREDIT, refund.amount)],
        person=await _person(work, refund),
    )
    payment = await work.session.get_one(Payment, refund.payment_id)
    account = await work.session.get_one(Account, payment.account_id)
    if account.email is not None:
        amount = f"{work.settings.money.plain(refund.amount)} {work.settings.currency.upper()}"
        work.send(
            Letter(
                to=account.email,
                subject="Your refund did not arrive",
                body=(
                    f"We sent {amount} back to your card, and its bank returned it to us. The money is still yours: "
                    f"please write to us how we can send it.\n"
                ),
            ),
            dedupe_key=f"refund-failed:{refund.id}",
        )
    return True


async def _from_outside(work: UnitOfWork, state: RefundState) -> bool:
    """Book a refund that somebody made at the processor, past this program: the term runs on, the reserve bears it."""
    payment = None
    if state.payment is not None:
        payment = await work.session.scalar(select(Payment).where(Payment.gateway_id == state.payment))
    if payment is None or state.status in {"failed", "canceled"}:
        return False
    refund = await intend(work, payment, state.amount, reason=_OUTSIDE)
    return await _sent(work, refund, state)


async def _person(work: UnitOfWork, refund: Refund) -> UUID:
    payment = await work.session.get_one(Payment, refund.payment_id)
    return await ledger.references.of(work, payment.account_id)


_OUTSIDE = "made at the processor"
