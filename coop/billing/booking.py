"""Booking: what a payment that succeeded begins, in the ledger and for the person, in one unit.

Paid in full, paid in part and paid by the pool take the same path: one entry that credits a whole year's dues, one term
(architecture.md, rule 10).
"""

from uuid import UUID

from coop import ledger
from coop.billing import payments, receipt_letters, refunds, subscriptions
from coop.billing.gateway import PaymentState
from coop.billing.payments import Method, Payment
from coop.billing.receipt_letters import Said
from coop.clock import local_date
from coop.ledger import (
    DEFERRED_DUES,
    GIFTS_OUTSTANDING,
    MEMBER_CREDIT,
    POOL,
    RESERVED,
    Posting,
)
from coop.membership import obstacles, terms, vat
from coop.membership.obstacles import DisputeOpen
from coop.money import Money
from coop.policies import Dues, Version
from coop.sponsorship import gifts, limits, places, queue
from coop.sponsorship.limits import AlreadyMember
from coop.unit_of_work import UnitOfWork

DUES = "Dues for a year"
"""What the books call a payment that begins a year."""


async def book(
    work: UnitOfWork,
    state: PaymentState,
    *,
    account_id: UUID,
    purpose: str,
    dues: Version[Dues],
    place_id: int | None,
    subscription: str | None,
    operation: UUID,
    method: Method = "card",
    unwanted: bool = False,
) -> bool:
    """Book a payment once, with what it is for; false if that was done before.

    One that is `unwanted`, since its member had stopped before it came, goes back by itself.
    """
    price = Money(dues.document.price)
    if purpose == "sponsor" or state.amount != price:
        # The queue before the pool, always, so that two units never wait for each other.
        await places.lock(work)
    payment = await payments.record(
        work,
        state,
        account_id=account_id,
        purpose=purpose,
        price=price,
        policy_version=dues.id,
        subscription=subscription,
        method=method,
    )
    if payment is None:
        return False
    if subscription is not None:
        await subscriptions.keep(
            work, subscription, account_id=account_id, amount=state.amount, purpose=purpose
        )
    match purpose:
        case "sponsor":
            await _post(work, payment, "A gift to the solidarity pool", [ledger.credit(POOL, payment.amount)])
            what, more = receipt_letters.POOL, None
        case "gift":
            bought = [ledger.credit(GIFTS_OUTSTANDING, payment.price)]
            if payment.surplus:
                bought.append(ledger.credit(POOL, payment.surplus))
            await _post(work, payment, "A year bought as a gift", bought)
            gift = await gifts.buy(work, account_id, gift_id=operation, dues=dues, payment_id=payment.id)
            what = receipt_letters.GIFT
            until = local_date(gift.expires_at, work.settings.zone)
            more = receipt_letters.hand_over(work.settings.url("/gifts"), until)
        case _:
            what, more = await _dues(work, payment, dues, place_id, unwanted=unwanted)
    await receipt_letters.post(work, payment, what, more=more)
    await payments.settle(work, payment, state.settlement)
    if purpose == "sponsor" or payment.surplus:
        await queue.give(work)
    return True


async def _dues(
    work: UnitOfWork, payment: Payment, dues: Version[Dues], place_id: int | None, *, unwanted: bool
) -> tuple[Said, Said]:
    """Begin the year that a payment is for, or keep the money as credit when it cannot begin."""
    what = receipt_letters.A_YEAR
    if unwanted:
        await _credit(work, payment)
        await refunds.intend(work, payment, payment.amount, reason="stopped")
        return what, receipt_letters.STOPPED
    try:
        await limits.may_renew(work, payment.account_id)
        await obstacles.none_before(work, payment.account_id)
    except (AlreadyMember, DisputeOpen) as refusal:
        # Two paid pages for one person, or a dispute that opened while they paid: the payment goes back by itself.
        await _credit(work, payment)
        twice = isinstance(refusal, AlreadyMember)
        await refunds.intend(work, payment, payment.amount, reason="paid twice" if twice else "dispute open")
        return what, receipt_letters.PAID_TWICE if twice else receipt_letters.DISPUTE_OPEN
    funding = [ledger.credit(DEFERRED_DUES, payment.price)]
    if payment.surplus:
        funding.append(ledger.credit(POOL, payment.surplus))
    if payment.gap:
        kept = None if place_id is None else await places.take_up(work, place_id)
        if kept != payment.gap:
            if kept is not None:
                msg = f"{kept} is kept for a gap of {payment.gap}"
                raise ValueError(msg)
            await _credit(work, payment)
            if not await queue.credit(work, payment.account_id, payment.amount, payment_id=payment.id):
                await refunds.intend(work, payment, payment.amount, reason="paid twice")
                return what, receipt_letters.PAID_TWICE
            return what, receipt_letters.WAITS
        funding.append(ledger.debit(RESERVED, kept))
    await _post(work, payment, DUES, funding)
    term = await terms.begin(work, payment.account_id, dues=dues)
    payment.term_id = term.id
    await vat.due(work, term, paid={payment.id: payment.own_part}, person=payment.account_id)
    if payment.gap and place_id is not None:
        await places.note_term(work, place_id, term.id)
    await work.session.flush()
    return what, receipt_letters.runs_until(places.last_day(work, term))


async def _credit(work: UnitOfWork, payment: Payment) -> None:
    await _post(
        work, payment, "Money without a year to pay for", [ledger.credit(MEMBER_CREDIT, payment.amount)]
    )


async def _post(work: UnitOfWork, payment: Payment, what: str, against: list[Posting]) -> None:
    await ledger.post(
        work,
        source="payment",
        external_id=payment.gateway_id,
        description=what,
        postings=[ledger.debit(payments.ARRIVES_AT[payment.method], payment.amount), *against],
        policy_version=payment.policy_version,
        person=await ledger.references.of(work, payment.account_id),
    )
