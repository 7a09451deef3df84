"""Withdrawal and stopping: a new year given back within its days, for the whole amount; or no further one.

The member's word counts at once: the year ends, the books move and the acknowledgement is written in one unit, and
what the processor must do about it follows, however long it is away.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from coop import ledger
from coop.billing import operations, refunds, subscriptions
from coop.billing.gateway import Gateway, GatewayAway
from coop.billing.payments import Payment
from coop.errors import Refused
from coop.identity.accounts import Account
from coop.ledger import DEFERRED_DUES, MEMBER_CREDIT, POOL, RESERVE, Posting
from coop.mail import Letter
from coop.membership import terms
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


async def choice(work: UnitOfWork, account_id: UUID) -> Choice:
    """Return what a member can do about the running year and the next."""
    term = await terms.latest(work, account_id)
    renewing = await subscriptions.renewing(work, account_id)
    renews = None if renewing is None else renewing.amount
    if term is None or term.ended_early_at is not None or term.ends <= work.now:
        return Choice(None, None, ZERO, renews)
    payment, since = await _funding(work, term)
    if since is None:
        return Choice(term, None, ZERO, renews)
    dues = await places.dues_of(work, term.policy_version)
    until = since + timedelta(days=dues.document.withdrawal_days)
    refund = ZERO if payment is None else payment.amount - payment.refunded
    return Choice(term, until if until > work.now else None, refund, renews)


async def withdraw(units: Units, gateway: Gateway, *, account_id: UUID, key: str) -> str:
    """Give the running year back, with everything that was paid for it; return the path that says so."""
    done = "/account/stop?done=withdrawn"
    async with operations.released(units, key):
        async with units.open() as work:
            answer = await operations.claim(work, key, account_id=account_id, purpose="withdraw", facts=())
            if answer is not None:
                return answer
            await places.lock(work)
            refund_id = await _give_back(work, account_id)
            stopped = await subscriptions.wish(work, account_id, "stop_now")
            await queue.give(work)
            await operations.answer(work, key, done)
        await _tell(units, gateway, stopped, refund_id)
    return done


async def stop(units: Units, gateway: Gateway, *, account_id: UUID, key: str) -> str:
    """Stop automatic renewal; the running year goes on to its end. Return the path that says so."""
    done = "/account/stop?done=stopped"
    async with operations.released(units, key):
        async with units.open() as work:
            answer = await operations.claim(work, key, account_id=account_id, purpose="stop", facts=())
            if answer is not None:
                return answer
            stopped = await subscriptions.wish(work, account_id, "stop")
            if stopped:
                await _acknowledge(
                    work,
                    account_id,
                    "Your renewal is stopped",
                    "Your membership will not renew. Nothing more will be charged, and the year you have runs on to its end.",
                    key,
                )
            await operations.answer(work, key, done)
        await _tell(units, gateway, stopped, None)
    return done


async def _tell(units: Units, gateway: Gateway, stopped: list[str], refund_id: UUID | None) -> None:
    try:
        for subscription in stopped:
            await subscriptions.carry_out(units, gateway, subscription)
        if refund_id is not None:
            await refunds.send(units, gateway, refund_id)
    except GatewayAway:
        # It is written down, and the hourly reconciliation sends it; the member need not ask again.
        return


async def _give_back(work: UnitOfWork, account_id: UUID) -> UUID | None:
    chosen = await choice(work, account_id)
    term = chosen.term
    if term is None or chosen.withdraw_until is None:
        raise TooLateToWithdraw
    await terms.end_early(work, term.id)
    payment, _ = await _funding(work, term)
    # A renewal in grace begins in the past: the months that have gone by are earned, and the reserve bears them.
    earned = _earned(work, term)
    postings = [ledger.debit(DEFERRED_DUES, term.price - earned), ledger.debit(RESERVE, earned)]
    refund_id = None
    if payment is None:
        postings.append(ledger.credit(POOL, term.price))
    else:
        postings.append(ledger.credit(POOL, term.price - payment.own_part))
        postings.append(ledger.credit(MEMBER_CREDIT, payment.amount))
        postings += await _surplus_back(work, payment.surplus)
        refund_id = (await refunds.intend(work, payment, payment.amount, reason="withdrawn")).id
    await ledger.post(
        work,
        source="withdrawal",
        external_id=str(term.id),
        description="A year given back within its first days",
        postings=postings,
        policy_version=term.policy_version,
        person=await ledger.references.of(work, account_id),
    )
    amount = f"{work.settings.money.plain(chosen.refund)} {work.settings.currency.upper()}"
    back = f" {amount} is on its way back to your card." if chosen.refund else ""
    await _acknowledge(
        work,
        account_id,
        "You have withdrawn",
        f"We received your withdrawal on {work.now.astimezone(work.settings.zone):%Y-%m-%d at %H:%M:%S %Z}. "
        f"Your membership has ended.{back}",
        str(term.id),
    )
    return refund_id


def _earned(work: UnitOfWork, term: Term) -> Money:
    """Return the dues of the months of a term that have passed, whether they are booked yet or will be."""
    months = 0
    while months < settlement.MONTHS and settlement.month_end(term, months + 1, work) <= work.now:
        months += 1
    return settlement.recognised(term.price, months)


async def _surplus_back(work: UnitOfWork, surplus: Money) -> list[Posting]:
    """Take a surplus back from the pool as far as it is free; the reserve bears what was given on already."""
    if not surplus:
        return []
    free = min(await ledger.balance(work, POOL), surplus)
    if free and not await ledger.take(work, POOL, free):
        free = ZERO
    return [ledger.debit(POOL, free), ledger.debit(RESERVE, surplus - free)]


async def _funding(work: UnitOfWork, term: Term) -> tuple[Payment | None, datetime | None]:
    """Return the payment behind a term, if it was one, and since when it can be given back.

    Years that the treasurer recorded (bank transfer, cash) are given back by the treasurer.
    """
    payment = await work.session.scalar(select(Payment).where(Payment.term_id == term.id))
    if payment is not None:
        return payment, None if payment.refunded or payment.disputed else payment.received_at
    place = await work.session.scalar(select(Place).where(Place.term_id == term.id))
    if place is not None:
        credited = None if place.payment_id is None else await work.session.get(Payment, place.payment_id)
        return credited, place.due_at
    gift = await work.session.scalar(select(Gift).where(Gift.term_id == term.id))
    return None, None if gift is None else gift.claimed_at


async def _acknowledge(work: UnitOfWork, account_id: UUID, subject: str, body: str, key: str) -> None:
    account = await work.session.get_one(Account, account_id)
    if account.email is not None:
        work.send(
            Letter(
                to=account.email,
                subject=subject,
                body=f"{body}\n\n{work.settings.name}, {work.settings.url('/account/payments')}\n",
            ),
            dedupe_key=f"acknowledged:{key}",
        )
