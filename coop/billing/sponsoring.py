"""Sponsoring: what somebody gives to the solidarity pool, once or each month, and how that is stopped.

A monthly gift is a subscription at the processor, and asks for nothing but to be told of: a month that fails is owed by
nobody, and a charge that its bank disputes ends it (`disputes`).
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from sqlalchemy import exists, func, select, type_coerce

from coop.billing import booking, subscriptions
from coop.billing.gateway import Gateway, GatewayAway, InvoiceState, NotVisible, PaymentState
from coop.billing.payments import Payment
from coop.billing.subscriptions import Subscription
from coop.database import MoneyType
from coop.identity.accounts import Account
from coop.mail import Letter
from coop.money import ZERO, Money
from coop.policies import Dues, Version
from coop.sponsorship import letters
from coop.sponsorship.institutions import Institution
from coop.unit_of_work import UnitOfWork, Units, new_id


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody gave to the pool, and the years that it pays for."""

    amount: Money
    years: int
    since: datetime | None


async def given_by(work: UnitOfWork, account_id: UUID) -> Given:
    """Add up what an account gave to the pool as its sponsor, less what went back or is disputed.

    Each gift counts at the price of its own day, so that years bought stay bought; small ones add up to whole years.
    """
    kept = func.sum(Payment.amount) - func.sum(Payment.refunded) - func.sum(Payment.disputed)
    rows = await work.session.execute(
        select(Payment.price, type_coerce(kept, MoneyType), func.min(Payment.received_at))
        .where(Payment.account_id == account_id, Payment.purpose == "sponsor")
        .group_by(Payment.price)
    )
    amount, years, first = ZERO, Fraction(0), None
    for price, given, since in rows:
        if given <= ZERO:
            continue
        amount += given
        years += Fraction(given.minor, price.minor)
        first = since if first is None else min(first, since)
    return Given(amount, int(years), first)


async def named(work: UnitOfWork) -> list[str]:
    """Return the organisations that gave something, want to be named, and are who they say."""
    gave = exists().where(
        Payment.account_id == Institution.account_id,
        Payment.purpose == "sponsor",
        Payment.amount > Payment.refunded + Payment.disputed,
    )
    found = await work.session.scalars(
        select(Institution.name)
        .where(Institution.named, Institution.confirmed_at.is_not(None), gave)
        .order_by(Institution.name)
    )
    return list(found)


async def monthly(work: UnitOfWork, account_id: UUID) -> Subscription | None:
    """Return the monthly gift that an account goes on giving."""
    return await subscriptions.renewing(work, account_id, purpose="sponsor")


async def stop(units: Units, gateway: Gateway, account_id: UUID) -> None:
    """End a monthly gift at once; pressing twice is pressing once."""
    async with units.open() as work:
        stopped = await subscriptions.wish(work, account_id, "stop_now", purpose="sponsor")
    try:
        for subscription in stopped:
            await subscriptions.carry_out(units, gateway, subscription)
    except GatewayAway:
        # It is written down, and the worker tells the processor.
        return


async def apply(
    work: UnitOfWork,
    subscription: Subscription,
    invoice: InvoiceState,
    payment: PaymentState | None,
    dues: Version[Dues],
) -> bool:
    """Book a month that was paid; write once about one that was not."""
    if invoice.status != "paid":
        return await _failed(work, subscription, invoice)
    if payment is None or not payment.succeeded:
        raise NotVisible
    return await booking.book(
        work,
        payment,
        account_id=subscription.account_id,
        purpose="sponsor",
        dues=dues,
        place_id=None,
        subscription=subscription.id,
        operation=new_id(),
    )


async def _failed(work: UnitOfWork, subscription: Subscription, invoice: InvoiceState) -> bool:
    if not invoice.attempts:
        return False
    account = await work.session.get_one(Account, subscription.account_id)
    if account.email is not None:
        subject, body = letters.written(
            work.settings, letters.MONTH_FAILED, account.locale, day=None, amount=subscription.amount
        )
        # The card is tried several times, and each time is heard of.
        letter = Letter(to=account.email, subject=subject, body=body)
        await work.send_once(letter, dedupe_key=f"month-failed:{invoice.id}")
    return True
