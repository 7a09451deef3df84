"""Refunds: money on its way back, written down before it is sent and posted once it is.

Every refund moves Member credit to our balance at the processor; what becomes of the dues is booked by whoever intends
the refund, so one path serves withdrawals, double payments, credit that waited too long and parts that are given back
of a year that runs on.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.billing import letters
from coop.billing.gateway import Gateway, GatewayRefused, RefundState
from coop.billing.payments import Payment
from coop.database import Base, changed
from coop.errors import Refused
from coop.ledger import MEMBER_CREDIT, POOL, RESERVE, STRIPE, VAT_PAYABLE
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.membership import vat
from coop.money import ZERO, Money
from coop.sponsorship import places
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


async def intend(
    work: UnitOfWork, payment: Payment, amount: Money, *, reason: str, done: bool = False
) -> Refund:
    """Write down that `amount` is to go back; the caller has moved it to Member credit.

    One that is `done` already, by somebody at the processor, is a fact even if a dispute came after it.
    """
    most = Payment.amount if done else Payment.amount - Payment.disputed
    if not await changed(
        work.session,
        update(Payment)
        .where(Payment.id == payment.id, Payment.refunded + amount <= most)
        .values(refunded=Payment.refunded + amount),
    ):
        raise TooMuchBack
    refund = Refund(payment_id=payment.id, amount=amount, reason=reason, intended_at=work.now)
    work.session.add(refund)
    await work.session.flush()
    return refund


async def give_back(
    work: UnitOfWork, payment: Payment, amount: Money, *, reason: str, done: bool = False
) -> Refund:
    """Give a part of a payment back, or all of it, while what it paid for stays.

    What went to the pool beyond the price is given back first, as far as the pool still has it. The reserve bears the
    rest, less the VAT in it, so that a year that runs on stays funded in full.
    """
    # The queue before any row of ours, as everywhere.
    await places.lock(work)
    before = payment.refunded
    refund = await intend(work, payment, amount, reason=reason, done=done)
    await work.session.refresh(payment)
    waiting = payment.purpose == "dues" and payment.term_id is None
    if waiting and await credit_of(work, payment.account_id, without=refund.id) >= amount:
        await _wait_no_more(work, payment, reason)
        return refund
    spare = payment.amount if payment.purpose == "sponsor" else payment.surplus
    beyond = min(spare, before + amount) - min(spare, before)
    from_pool = await out_of_pool(work, beyond)
    untaxed = await vat.in_dues(work, payment.id, amount - beyond)
    entry = await ledger.post(
        work,
        source="refund",
        external_id=f"intended:{refund.id}",
        description="A part is given back",
        postings=[
            ledger.debit(POOL, from_pool),
            ledger.debit(VAT_PAYABLE, vat.total(untaxed)),
            ledger.debit(RESERVE, amount - from_pool - vat.total(untaxed)),
            ledger.credit(MEMBER_CREDIT, amount),
        ],
        policy_version=payment.policy_version,
        person=await ledger.references.of(work, payment.account_id),
    )
    await vat.went_back(work, entry, untaxed, {payment.id: refund.id})
    return refund


async def _wait_no_more(work: UnitOfWork, payment: Payment, reason: str) -> None:
    """Send all of a payment back that waits for a place: what is left of it could begin no year."""
    place = await places.open_place(work, payment.account_id)
    if place is not None and place.payment_id == payment.id:
        await places.close(work, place, "refunded")
    left = payment.amount - payment.refunded - payment.disputed
    if left > ZERO:
        await intend(work, payment, left, reason=reason)


async def out_of_pool(work: UnitOfWork, amount: Money) -> Money:
    """Take `amount` of the pool as far as it is free, and return what was taken; the caller posts it."""
    free = min(await ledger.balance(work, POOL), amount)
    return free if free > ZERO and await ledger.take(work, POOL, free) else ZERO


async def credit_of(work: UnitOfWork, account_id: UUID, *, without: UUID | None = None) -> Money:
    """Return what lies with us as an account's own money, beyond what is about to be sent back (but for `without`)."""
    person = await ledger.references.of(work, account_id)
    booked = await work.session.scalar(
        select(func.sum(EntryPosting.amount))
        .join(JournalEntry, JournalEntry.id == EntryPosting.entry_id)
        .where(EntryPosting.account == MEMBER_CREDIT, JournalEntry.person == person)
    )
    leaving = await work.session.scalar(
        select(func.sum(Refund.amount))
        .join(Payment, Payment.id == Refund.payment_id)
        .where(
            Payment.account_id == account_id,
            Refund.state == "intended",
            Refund.id != (without or UUID(int=0)),
        )
    )
    return ledger.natural(MEMBER_CREDIT, booked or ZERO) - (leaving or ZERO)


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
    try:
        state = await gateway.refund(operation=refund_id, age=age, payment=row[1], amount=row[0].amount)
    except GatewayRefused:
        # Most likely the payer's bank disputes the payment by now. The money stays with us as the member's.
        async with units.open() as work:
            await _refused(work, row[0])
        return
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
            ledger.debit(MEMBER_CREDIT, refund.amount),
            ledger.credit(STRIPE, refund.amount),
        ],
        person=await _person(work, refund),
    )
    return True


async def _refused(work: UnitOfWork, refund: Refund) -> None:
    """Note that the processor will not send a refund; nothing has left, so there is nothing to post."""
    if await changed(
        work.session,
        update(Refund).where(Refund.id == refund.id, Refund.state == "intended").values(state="failed"),
    ):
        await _keep(work, refund)


async def _failed(work: UnitOfWork, refund: Refund, state: RefundState) -> bool:
    """Book money that could not be given back: it stays with us as the member's."""
    if not await changed(
        work.session,
        update(Refund).where(Refund.id == refund.id, Refund.state == "sent").values(state="failed"),
    ):
        return False
    await ledger.post(
        work,
        source="refund",
        external_id=f"failed:{state.id}",
        description="Could not be given back",
        postings=[ledger.debit(STRIPE, refund.amount), ledger.credit(MEMBER_CREDIT, refund.amount)],
        person=await _person(work, refund),
    )
    await _keep(work, refund)
    return True


async def _keep(work: UnitOfWork, refund: Refund) -> None:
    """Count a refund that did not arrive as never made, and ask its member where to send it."""
    await work.session.execute(
        update(Payment)
        .where(Payment.id == refund.payment_id)
        .values(refunded=Payment.refunded - refund.amount)
    )
    payment = await work.session.get_one(Payment, refund.payment_id)
    await letters.post(
        work,
        payment.account_id,
        letters.REFUND_FAILED,
        key=f"refund-failed:{refund.id}",
        amount=refund.amount,
    )


async def _from_outside(work: UnitOfWork, state: RefundState) -> bool:
    """Book a refund that somebody made at the processor, past this program: what was paid for runs on."""
    payment = None
    if state.payment is not None:
        payment = await work.session.scalar(select(Payment).where(Payment.gateway_id == state.payment))
    if payment is None or state.status in {"failed", "canceled"}:
        return False
    refund = await give_back(work, payment, state.amount, reason=_OUTSIDE, done=True)
    return await _sent(work, refund, state)


async def _person(work: UnitOfWork, refund: Refund) -> UUID:
    payment = await work.session.get_one(Payment, refund.payment_id)
    return await ledger.references.of(work, payment.account_id)


_OUTSIDE = "made at the processor"
