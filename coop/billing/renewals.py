"""Renewals: the invoices of automatic renewals, the pool's part of them, and what a failed card means."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from coop import policies
from coop.billing import booking, instalments, sponsoring, subscriptions
from coop.billing.gateway import InvoiceState, NotVisible, PaymentState
from coop.billing.subscriptions import Subscription
from coop.errors import CoopError
from coop.identity.accounts import Account
from coop.mail import Letter
from coop.membership import terms
from coop.money import Money
from coop.policies import Dues, Pool
from coop.sponsorship import places, queue
from coop.unit_of_work import UnitOfWork, Units, new_id

RETRIES = timedelta(days=21)
"""The processor tries a failed card three times over two weeks; the pool's part is kept as long."""


async def apply(work: UnitOfWork, invoice: InvoiceState, payment: PaymentState | None) -> bool:
    """Begin the next year for a renewal's invoice that was paid; write when its card failed."""
    if invoice.reason != "subscription_cycle" or invoice.subscription is None:
        return False
    plan = await instalments.of_subscription(work, invoice.subscription)
    if plan is not None:
        return await instalments.apply(work, plan, invoice, payment)
    subscription = await work.session.get(Subscription, invoice.subscription)
    if subscription is None:
        if invoice.operation is None:
            return False
        # Its first year's event is still on its way: Stripe will tell again.
        raise NotVisible
    if subscription.purpose == "sponsor":
        dues = await policies.in_force(work, Dues)
        return await sponsoring.apply(work, subscription, invoice, payment, dues)
    if invoice.status != "paid":
        return await _failed(work, subscription, invoice)
    if payment is None or not payment.succeeded:
        raise NotVisible
    dues = await policies.in_force(work, Dues)
    place = await places.open_place(work, subscription.account_id)
    return await booking.book(
        work,
        payment,
        account_id=subscription.account_id,
        purpose="dues",
        dues=await places.dues_of(work, place.policy_version) if place and place.policy_version else dues,
        place_id=place.id if place and place.contribution == payment.amount else None,
        subscription=subscription.id,
        operation=new_id(),
    )


async def _failed(work: UnitOfWork, subscription: Subscription, invoice: InvoiceState) -> bool:
    account = await work.session.get_one(Account, subscription.account_id)
    if not invoice.attempts or account.email is None:
        return False
    settings = work.settings
    work.send(
        Letter(
            to=account.email,
            subject="Your card was declined",
            body=(
                f"We could not charge {settings.money.plain(subscription.amount)} {settings.currency.upper()} for your next year: "
                "your card's bank declined it. Nothing is lost. It will be tried again over two weeks.\n\n"
                f"You can pay by another card: {settings.url('/join')}\n"
                f"Or ask for a sponsored place, without giving a reason: {settings.url('/place')}\n"
            ),
        ),
        dedupe_key=f"declined:{invoice.id}:{invoice.attempts}",
    )
    return True


async def keep_gaps(units: Units) -> int:
    """Have the pool keep its part of the renewals that are announced; without it, nothing is charged (a job)."""
    async with units.read() as work:
        dues = (await policies.in_force(work, Dues)).document
        due = list(
            await work.session.scalars(
                select(Subscription.account_id).where(
                    Subscription.status.not_in(subscriptions.ENDED),
                    Subscription.stops.is_(False),
                    Subscription.wish == "renew",
                    Subscription.purpose == "dues",
                    Subscription.amount < Money(dues.price),
                )
            )
        )
    done = 0
    for account_id in due:
        async with units.open() as work:
            done += await _keep_gap(work, account_id)
    return done


async def _keep_gap(work: UnitOfWork, account_id: UUID) -> bool:
    subscription = await subscriptions.renewing(work, account_id)
    term = await terms.latest(work, account_id)
    notice = timedelta(days=max((await policies.in_force(work, Dues)).document.notice_days))
    if subscription is None or term is None or not work.now < term.ends <= work.now + notice:
        return False
    try:
        place = await queue.ask(work, account_id, contribution=subscription.amount)
    except CoopError:
        return False
    if place.state == "offered":
        return place.held_until is None and await places.hold(work, place.id, term.ends + RETRIES)
    last = timedelta(days=(await policies.in_force(work, Pool)).document.reserve_before_end_days)
    # Without the pool's part the card is not charged; the place in the queue stays.
    return term.ends <= work.now + last and bool(await subscriptions.wish(work, account_id, "stop"))
