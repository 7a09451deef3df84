"""Renewals: the invoices of automatic renewals, what a card that failed means, and changing one's mind."""

from coop import policies
from coop.billing import booking, instalment_plans, instalments, letters, sponsoring
from coop.billing.gateway import InvoiceState, NotVisible, PaymentState
from coop.billing.subscriptions import Subscription
from coop.membership import renewal_links, terms
from coop.policies import Dues
from coop.sponsorship import places
from coop.unit_of_work import UnitOfWork, new_id


async def apply(work: UnitOfWork, invoice: InvoiceState, payment: PaymentState | None) -> bool:
    """Begin the next year for a renewal's invoice that was paid; write when its card failed."""
    if invoice.reason != "subscription_cycle" or invoice.subscription is None:
        return False
    plan = await instalment_plans.of_subscription(work, invoice.subscription)
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
    # Whoever stopped or paused in the same second was told that nothing more will be charged.
    unwanted = subscription.wish != "renew"
    return await booking.book(
        work,
        payment,
        account_id=subscription.account_id,
        purpose="dues",
        dues=await places.dues_of(work, place.policy_version) if place and place.policy_version else dues,
        place_id=place.id if place and place.contribution == payment.amount else None,
        subscription=subscription.id,
        operation=new_id(),
        unwanted=unwanted,
    )


async def _failed(work: UnitOfWork, subscription: Subscription, invoice: InvoiceState) -> bool:
    """Tell why a card failed and what can be done, each time; the place is offered before anything lapses."""
    term = await terms.latest(work, subscription.account_id)
    if not invoice.attempts or invoice.status != "open" or term is None or subscription.wish != "renew":
        return False
    if invoice.asks:
        letter = letters.CONFIRM
    else:
        letter = letters.DECLINED if invoice.next_try is not None else letters.DECLINED_LAST
    await letters.post(
        work,
        subscription.account_id,
        letter,
        key=f"declined:{invoice.id}:{invoice.attempts}",
        amount=subscription.amount,
        grace=term.grace_until,
        day=invoice.next_try,
        declined=invoice.declined,
        pay=invoice.pay_url or "",
        renewal=renewal_links.path(work.settings, term.id),
    )
    return True
