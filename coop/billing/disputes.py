"""Disputes: payments that the payer's bank takes back.

A lost one falls on the reserve: the term runs on, no network pays anything back, and no new term begins until it is
settled.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.billing import refunds, subscriptions
from coop.billing.gateway import DisputeState
from coop.billing.payments import Payment, of_gateway
from coop.billing.refunds import Refund
from coop.database import Base, changed, insert_once
from coop.errors import Invalid, Refused
from coop.ledger import BANK, DISPUTE_FEES, DISPUTED, MEMBER_CREDIT, RESERVE, STRIPE, VAT_PAYABLE
from coop.membership import obstacles, vat
from coop.money import ZERO, Money, in_proportion
from coop.sponsorship import places, returns
from coop.unit_of_work import UnitOfWork


class NothingToSettle(Refused):
    """That dispute is not lost, or it is settled already."""

    code = "nothing_to_settle"


class Dispute(Base):
    """One dispute, and how far it is booked."""

    __tablename__ = "disputes"
    __table_args__ = (
        CheckConstraint("amount > 0 AND fee >= 0", name="amounts"),
        CheckConstraint("state IN ('open', 'won', 'lost')", name="state"),
        CheckConstraint("settled_at IS NULL OR state = 'lost'", name="settled"),
    )

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    """The processor's."""
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    amount: Mapped[Money]
    fee: Mapped[Money]
    opened_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="open")
    closed_at: Mapped[datetime | None] = mapped_column(default=None)
    settled_at: Mapped[datetime | None] = mapped_column(default=None)
    """When a lost one was paid back or forgiven; until then no new year begins."""


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


async def settle(work: UnitOfWork, dispute_id: str, *, received: Money = ZERO) -> None:
    """Settle a lost dispute, paid back by bank transfer as far as `received` or forgiven: a new year may begin."""
    dispute = await work.session.get(Dispute, dispute_id, populate_existing=True)
    if dispute is None or not ZERO <= received <= dispute.amount:
        raise Invalid("There is no such dispute, or more was received than its bank took back.")
    if not await changed(
        work.session,
        update(Dispute)
        .where(Dispute.id == dispute_id, Dispute.state == "lost", Dispute.settled_at.is_(None))
        .values(settled_at=work.now),
    ):
        raise NothingToSettle
    await obstacles.clear(work, _source(dispute_id))
    payment = await work.session.get_one(Payment, dispute.payment_id)
    if received:
        # With the dues come those taxes again that went back when they were lost.
        lost = await ledger.find(work, "dispute", f"lost:{dispute_id}")
        untaxed = [] if lost is None else await vat.gone(work, lost)
        taxed = [part.of(in_proportion(part.dues, received.minor, dispute.amount.minor)) for part in untaxed]
        entry = await ledger.post(
            work,
            source="dispute",
            external_id=f"settled:{dispute_id}",
            description="A lost dispute is settled",
            postings=[
                ledger.debit(BANK, received),
                ledger.credit(RESERVE, received - vat.total(taxed)),
                ledger.credit(VAT_PAYABLE, vat.total(taxed)),
            ],
            person=await ledger.references.of(work, payment.account_id),
        )
        await vat.keep(work, entry, taxed)


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
        settled_at=None,
    ):
        return False
    await obstacles.put(work, payment.account_id, _source(state.id))
    # Whoever has their bank take one payment back is not charged for the next by itself.
    await subscriptions.wish(work, payment.account_id, "stop")
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
    untaxed: list[vat.Part] = []
    if state.status == "lost":
        await returns.void(work, payment.id)
        kept = await _still_theirs(work, payment, state.amount)
        untaxed = await vat.in_dues(work, payment.id, await _dues_of(work, payment, state.amount, kept))
        postings = [
            ledger.debit(MEMBER_CREDIT, kept),
            ledger.debit(VAT_PAYABLE, vat.total(untaxed)),
            ledger.debit(RESERVE, state.amount - kept - vat.total(untaxed)),
            ledger.credit(DISPUTED, state.amount),
        ]
    else:
        await returns.thaw(work, payment.id)
        await obstacles.clear(work, _source(state.id))
        await work.session.execute(
            update(Payment).where(Payment.id == payment.id).values(disputed=Payment.disputed - state.amount)
        )
        postings = [
            ledger.debit(STRIPE, state.amount + state.fee_returned),
            ledger.credit(DISPUTED, state.amount),
            ledger.credit(DISPUTE_FEES, state.fee_returned),
        ]
    entry = await ledger.post(
        work,
        source="dispute",
        external_id=f"{state.status}:{state.id}",
        description=f"A dispute is {state.status}",
        postings=postings,
        person=await ledger.references.of(work, payment.account_id),
    )
    await vat.went_back(work, entry, untaxed)
    return True


async def _dues_of(work: UnitOfWork, payment: Payment, amount: Money, kept: Money) -> Money:
    """Return what of a lost amount were dues: what went to the pool beyond the price is counted first, as in refunds."""
    await work.session.refresh(payment)
    before = payment.refunded + payment.disputed - amount
    lost = amount - kept
    return lost - (min(payment.surplus, before + lost) - min(payment.surplus, before))


async def _still_theirs(work: UnitOfWork, payment: Payment, amount: Money) -> Money:
    """Return how much of a lost payment lies with us as the member's credit: their bank has given them that now."""
    refused = await work.session.scalar(
        select(func.count()).where(Refund.payment_id == payment.id, Refund.state == "failed")
    )
    if payment.purpose != "dues" or not (payment.term_id is None or refused):
        return ZERO
    place = await places.open_place(work, payment.account_id)
    if place is not None and place.payment_id == payment.id:
        await places.lock(work)
        await places.close(work, place, "refunded")
    return min(amount, await refunds.credit_of(work, payment.account_id))


def _source(dispute_id: str) -> str:
    return f"dispute:{dispute_id}"
