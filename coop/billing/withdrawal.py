"""Withdrawal and stopping: a new year given back within its days, for the whole amount; or no further one.

The member's word counts at once: the year ends, the books move and the acknowledgement is written in one unit, and
what the processor must do about it follows, however long it is away.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from coop import ledger
from coop.billing import (
    gaps,
    household_dues,
    instalment_endings,
    instalment_plans,
    letters,
    operations,
    refunds,
    subscriptions,
)
from coop.billing.gateway import Gateway, GatewayAway
from coop.billing.instalment_plans import InstalmentPlan
from coop.billing.payments import Payment
from coop.errors import Refused
from coop.ledger import DEFERRED_DUES, INSTALMENTS_DUE, MEMBER_CREDIT, POOL, RESERVE, VAT_PAYABLE, Posting
from coop.membership import terms, vat
from coop.membership.terms import Term
from coop.money import ZERO, Money
from coop.networks import settlement
from coop.sponsorship import places, queue
from coop.sponsorship.gifts import Gift
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units


class TooLateToWithdraw(Refused):
    """The days in which a new year can be given back are over. You can still stop its renewal."""

    code = "too_late_to_withdraw"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a member can give back or stop at this moment."""

    term: Term | None
    withdraw_until: datetime | None
    """A new year can be given back until then; empty once that is over."""
    refund: Money
    """What would come back to the card."""
    renews: Money | None
    """What would be charged for the next year; empty when nothing will."""
    charges: Money | None = None
    """What each further instalment of the running year will charge; empty when there is none."""
    ends_if_stopped: datetime | None = None
    """When the year ends if its instalments are stopped now."""
    paid_by_another: bool = False
    """What was paid goes back to somebody else of the household, and how much is theirs to know."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a payment paid of a year: all of it, or one year of several in a household."""

    payment: Payment
    amount: Money
    own_part: Money
    earlier: Money = ZERO
    """What of it was given back before."""

    @property
    def surplus(self) -> Money:
        """What went to the pool beyond the price."""
        return self.amount - self.own_part


def whole(payment: Payment) -> Part:
    """Return a payment as the whole of what paid for one year."""
    return Part(payment, payment.amount, payment.own_part, payment.refunded)


@dataclass(frozen=True, slots=True)
class Funding:
    """What paid for a term, and since when it can be given back; empty once it cannot."""

    since: datetime | None
    parts: tuple[Part, ...] = ()
    plan: InstalmentPlan | None = None

    @property
    def own_part(self) -> Money:
        """What of the dues its member pays, or owes by instalments."""
        if self.plan is not None:
            return self.plan.due
        return sum((part.own_part for part in self.parts), ZERO)

    @property
    def refundable(self) -> Money:
        """What goes back with it."""
        return sum((part.amount - part.earlier for part in self.parts), ZERO)


async def choice(work: UnitOfWork, account_id: UUID) -> Choice:
    """Return what a member can do about the running year and the next."""
    term = await terms.latest(work, account_id)
    renewing = await subscriptions.renewing(work, account_id)
    renews = None if renewing is None else renewing.amount
    if term is None or term.ended_early_at is not None or term.ends <= work.now:
        return Choice(None, None, ZERO, renews)
    charges = ends = None
    plan = await instalment_endings.running(work, account_id)
    if plan is not None:
        charges, ends = plan.each, await instalment_endings.last_instant(work, plan)
    funding = await _funding(work, term)
    if funding.since is None:
        return Choice(term, None, ZERO, renews, charges, ends)
    dues = await places.dues_of(work, term.policy_version)
    until = funding.since + timedelta(days=dues.document.withdrawal_days)
    by_another = any(part.payment.account_id != account_id for part in funding.parts)
    refund = ZERO if by_another else funding.refundable
    return Choice(term, until if until > work.now else None, refund, renews, charges, ends, by_another)


async def withdraw(units: Units, gateway: Gateway, *, account_id: UUID, key: str) -> str:
    """Give the running year back, with everything that was paid for it; return the path that says so."""
    done = "/account/stop?done=withdrawn"
    async with operations.released(units, key) as lease:
        async with units.open() as work:
            answer = await operations.claim(
                work, key, lease=lease, account_id=account_id, purpose="withdraw", facts=()
            )
            if answer is not None:
                return answer
            await places.lock(work)
            refund_ids = await give_back(work, account_id)
            stopped = await subscriptions.wish(work, account_id, "stop_now")
            await queue.give(work)
            await operations.answer(work, key, done)
        await tell(units, gateway, stopped, refund_ids)
    return done


async def stop(units: Units, gateway: Gateway, *, account_id: UUID, key: str) -> str:
    """Stop automatic renewal; the running year goes on to its end, or of one paid by instalments to what was paid.

    Return the path that says so.
    """
    async with operations.released(units, key) as lease:
        async with units.open() as work:
            answer = await operations.claim(
                work, key, lease=lease, account_id=account_id, purpose="stop", facts=()
            )
            if answer is not None:
                return answer
            done = "/account/stop?done=stopped"
            living = await subscriptions.living(work, account_id)
            stopped = await subscriptions.wish(work, account_id, "stop")
            if living is not None and stopped:
                await gaps.release(work, living)
            instalment = await instalment_endings.stop(work, account_id)
            if instalment is not None:
                subscription, ends = instalment
                stopped = sorted({*stopped, subscription})
                done = "/account/stop?done=instalments"
                await letters.post(
                    work,
                    account_id,
                    letters.INSTALMENTS_STOPPED,
                    key=f"acknowledged:{key}",
                    day=ends - timedelta(seconds=1),
                )
            elif stopped:
                await letters.post(work, account_id, letters.STOPPED, key=f"acknowledged:{key}")
            await operations.answer(work, key, done)
        await tell(units, gateway, stopped, [])
    return done


async def tell(units: Units, gateway: Gateway, stopped: list[str], refund_ids: list[UUID]) -> None:
    """Tell the processor what was written down: subscriptions that end, refunds to send."""
    try:
        for subscription in stopped:
            await subscriptions.carry_out(units, gateway, subscription)
        for refund_id in refund_ids:
            await refunds.send(units, gateway, refund_id)
    except GatewayAway:
        # It is written down, and the hourly reconciliation sends it; the member need not ask again.
        return


async def give_back(work: UnitOfWork, account_id: UUID, *, by_payer: bool = False) -> list[UUID]:
    """End the running year and book what becomes of its dues; return the refunds to send.

    `by_payer` tells that whoever paid for the year in a household gives it back, rather than its member.
    """
    chosen = await choice(work, account_id)
    term = chosen.term
    if term is None or chosen.withdraw_until is None:
        raise TooLateToWithdraw
    await terms.end_early(work, term.id)
    funding = await _funding(work, term)
    if funding.plan is not None:
        # A charge may come in at this very moment; what it paid goes back as well.
        await instalment_plans.hold(work, funding.plan.id)
        funding = await _funding(work, term)
    # A renewal in grace begins in the past: the months that have gone by are earned, and the reserve bears them.
    earned = settlement.recognised(term.net, instalment_endings.months_by(work, term, work.now))
    untaxed = await vat.of_term(work, term.id)
    # Taxes that have not arisen, since their instalments did not come, stand in the dues as well until a default.
    to_come = ZERO if funding.plan is None else instalment_plans.vat_to_come(term, funding.plan)
    defaulted = funding.plan is not None and funding.plan.state == "defaulted"
    postings = [
        ledger.debit(DEFERRED_DUES, term.net - earned + (ZERO if defaulted else to_come)),
        ledger.debit(VAT_PAYABLE, vat.total(untaxed)),
        ledger.debit(RESERVE, earned),
        ledger.credit(POOL, term.price - funding.own_part),
    ]
    # What a part that was given back before took of the taxes, the reserve did not bear.
    eased = term.vat - vat.total(untaxed) - to_come
    postings.append(ledger.debit(RESERVE, eased))
    sent: dict[UUID, UUID] = {}
    surplus = ZERO
    for part in funding.parts:
        left = part.amount - part.earlier
        # A part that was given back before came from the surplus first; the reserve, which bore the rest, gets it now.
        surplus_back = min(part.surplus, part.earlier)
        postings.append(ledger.credit(RESERVE, part.earlier - surplus_back))
        postings.append(ledger.credit(MEMBER_CREDIT, left))
        surplus += part.surplus - surplus_back
        if left:
            sent[part.payment.id] = (await refunds.intend(work, part.payment, left, reason="withdrawn")).id
    postings += await _surplus_back(work, surplus)
    if funding.plan is not None:
        # What will not be charged is due no more; what the reserve bore after a default comes back to it.
        borne_by = RESERVE if defaulted else INSTALMENTS_DUE
        borne = funding.plan.outstanding - (to_come if defaulted else ZERO)
        postings.append(ledger.credit(borne_by, borne))
        await instalment_plans.end(work, funding.plan)
    # Of a household it is the payer's entry: the credit is theirs, and what they paid is not for the others to read.
    payer_id = funding.parts[0].payment.account_id if funding.parts else account_id
    entry = await ledger.post(
        work,
        source="withdrawal",
        external_id=str(term.id),
        description="A year given back within its first days",
        postings=postings,
        policy_version=term.policy_version,
        person=await ledger.references.of(work, payer_id),
    )
    await vat.went_back(work, entry, untaxed, sent)
    if by_payer:
        letter = letters.GIVEN_BACK
    elif chosen.paid_by_another:
        letter = letters.WITHDRAWN_SHARED
    else:
        letter = letters.WITHDRAWN if chosen.refund else letters.WITHDRAWN_UNPAID
    await letters.post(work, account_id, letter, key=f"acknowledged:{term.id}", amount=chosen.refund)
    return list(sent.values())


async def paid_by(work: UnitOfWork, account_id: UUID, term: Term) -> Money:
    """Return what of the price of a year an account pays itself: at once, by instalments, with money that waited, for a household."""
    funding = await _funding(work, term)
    if funding.plan is not None:
        return funding.plan.due
    return sum((part.own_part for part in funding.parts if part.payment.account_id == account_id), ZERO)


async def _surplus_back(work: UnitOfWork, surplus: Money) -> list[Posting]:
    """Take a surplus back from the pool as far as it is free; the reserve bears what was given on already."""
    free = await refunds.out_of_pool(work, surplus)
    return [ledger.debit(POOL, free), ledger.debit(RESERVE, surplus - free)]


async def _funding(work: UnitOfWork, term: Term) -> Funding:
    """Return what paid for a term, and since when it can be given back.

    Years that the treasurer recorded (bank transfer, cash) are given back by the treasurer.
    """
    payment = await work.session.scalar(select(Payment).where(Payment.term_id == term.id))
    if payment is not None:
        since = None if payment.disputed else payment.received_at
        return Funding(since, (whole(payment),))
    shared = await household_dues.of_term(work, term.id)
    if shared is not None:
        year, payment = shared
        # Its other years may have been given back before; a dispute is about the whole payment.
        since = None if payment.disputed else payment.received_at
        earlier = await household_dues.given_back(work, year, payment)
        return Funding(since, (Part(payment, year.amount, year.own_part, earlier),))
    plan = await instalment_plans.of_term(work, term.id)
    if plan is not None:
        paid = await instalment_plans.paid_by(work, plan)
        touched = any(payment.refunded or payment.disputed for payment in paid)
        return Funding(None if touched else plan.begun_at, tuple(whole(payment) for payment in paid), plan)
    place = await work.session.scalar(select(Place).where(Place.term_id == term.id))
    if place is not None:
        credited = None if place.payment_id is None else await work.session.get(Payment, place.payment_id)
        return Funding(place.due_at, () if credited is None else (whole(credited),))
    gift = await work.session.scalar(select(Gift).where(Gift.term_id == term.id))
    return Funding(None if gift is None else gift.claimed_at)
