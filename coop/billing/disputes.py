"""Disputes: payments that the payer's bank takes back. A lost one falls on the reserve; the term runs on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.billing import subscriptions
from coop.billing.gateway import DisputeState
from coop.billing.payments import Payment, of_gateway
from coop.database import Base, changed, insert_once
from coop.errors import Refused
from coop.ledger import DISPUTE_FEES, DISPUTED, RESERVE, STRIPE
from coop.money import Money
from coop.sponsorship import returns
from coop.unit_of_work import UnitOfWork


class DisputeOpen(Refused):
    """Your bank disputes an earlier payment; a new year can begin once that is settled."""

    code = "dispute_open"


class Dispute(Base):
    """One dispute, and how far it is booked."""

    __tablename__ = "disputes"
    __table_args__ = (
        CheckConstraint("amount > 0 AND fee >= 0", name="amounts"),
        CheckConstraint("state IN ('open', 'won', 'lost')", name="state"),
    )

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    """The processor's."""
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    amount: Mapped[Money]
    fee: Mapped[Money]
    opened_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="open")
    closed_at: Mapped[datetime | None] = mapped_column(default=None)


async def apply(work: UnitOfWork, state: DisputeState) -> bool:
    """Book a dispute as far as it has come, each step once and in order; false if there was nothing to do."""
    if state.status == "warning" or not state.withdrawn or state.payment is None:
        # An inquiry moves no money, and a dispute is told of before it does.
        return False
    payment = await of_gateway(work, state.payment)
    if payment is None:
        return False
    done = await _opened(work, payment, state)
    if state.status in {"won", "lost"}:
        done = await _closed(work, payment, state) or done
    return done


async def none_open(work: UnitOfWork, account_id: UUID) -> None:
    """Refuse a new year to whoever's bank disputes the last one."""
    found = await work.session.scalar(
        select(func.count())
        .select_from(Dispute)
        .join(Payment, Payment.id == Dispute.payment_id)
        .where(Payment.account_id == account_id, Dispute.state == "open")
    )
    if found:
        raise DisputeOpen


async def _opened(work: UnitOfWork, payment: Payment, state: DisputeState) -> bool:
    if not await insert_once(
        work.session,
        Dispute,
        id=state.id,
        payment_id=payment.id,
        amount=state.amount,
        fee=state.fee,
        opened_at=work.now,
        state="open",
        closed_at=None,
    ):
        return False
    await work.session.execute(
        update(Payment).where(Payment.id == payment.id).values(disputed=Payment.disputed + state.amount)
    )
    await returns.freeze(work, payment.id)
    if payment.purpose == "sponsor" and payment.subscription is not None:
        # A monthly gift that its bank takes back is not charged again.
        await subscriptions.wish(work, payment.account_id, "stop_now", purpose="sponsor")
    await ledger.post(
        work,
        source="dispute",
        external_id=f"opened:{state.id}",
        description="A payment is disputed",
        postings=[
            ledger.debit(DISPUTED, state.amount),
            ledger.debit(DISPUTE_FEES, state.fee),
            ledger.credit(STRIPE, state.amount + state.fee),
        ],
        person=await ledger.references.of(work, payment.account_id),
    )
    return True


async def _closed(work: UnitOfWork, payment: Payment, state: DisputeState) -> bool:
    if not await changed(
        work.session,
        update(Dispute)
        .where(Dispute.id == state.id, Dispute.state == "open")
        .values(state=state.status, closed_at=work.now),
    ):
        return False
    if state.status == "lost":
        await returns.void(work, payment.id)
        postings = [ledger.debit(RESERVE, state.amount), ledger.credit(DISPUTED, state.amount)]
    else:
        await returns.thaw(work, payment.id)
        await work.session.execute(
            update(Payment).where(Payment.id == payment.id).values(disputed=Payment.disputed - state.amount)
        )
        postings = [
            ledger.debit(STRIPE, state.amount + state.fee_returned),
            ledger.credit(DISPUTED, state.amount),
            ledger.credit(DISPUTE_FEES, state.fee_returned),
        ]
    await ledger.post(
        work,
        source="dispute",
        external_id=f"{state.status}:{state.id}",
        description=f"A dispute is {state.status}",
        postings=postings,
        person=await ledger.references.of(work, payment.account_id),
    )
    return True
