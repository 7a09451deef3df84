"""Arrears: asking the processor for instalments that were not heard of, and giving up those that will never come."""

from datetime import timedelta

from sqlalchemy import or_, select

from coop.billing import instalment_plans, instalments, payments, subscriptions
from coop.billing.gateway import Gateway
from coop.billing.instalment_plans import InstalmentPlan
from coop.billing.subscriptions import Subscription
from coop.unit_of_work import Units

BATCH = 200
ASKED_AGAIN = timedelta(days=1)
GIVEN_UP = (*subscriptions.ENDED, "unpaid")
"""The processor tries the card no more."""


async def settle_due(units: Units, gateway: Gateway) -> int:
    """Book the instalments that a lost webhook would have told of; give up the plans that the processor gave up."""
    async with units.read() as work:
        rows = await work.session.execute(
            select(InstalmentPlan.id, InstalmentPlan.subscription)
            .join(Subscription, Subscription.id == InstalmentPlan.subscription)
            .where(
                InstalmentPlan.state == "running",
                or_(InstalmentPlan.next_at <= work.now, Subscription.status.in_(GIVEN_UP)),
            )
            .order_by(InstalmentPlan.next_at)
            .limit(BATCH)
        )
        due = rows.all()
    for plan_id, subscription in due:
        # Asked before the invoices: once it has given up, no further one is paid behind our back.
        state = await gateway.fetch_subscription(subscription)
        for invoice in await gateway.list_invoices(subscription):
            if invoice.payment is None or invoice.reason != "subscription_cycle":
                continue
            async with units.read() as work:
                if await payments.of_gateway(work, invoice.payment) is not None:
                    continue
            payment = await gateway.fetch_payment(invoice.payment)
            async with units.open() as work:
                await instalments.apply(work, await instalment_plans.hold(work, plan_id), invoice, payment)
        async with units.open() as work:
            await subscriptions.apply(work, state)
            if state.status in GIVEN_UP:
                await instalments.default(work, plan_id)
            else:
                await instalment_plans.ask_again(work, plan_id, work.now + ASKED_AGAIN)
    return len(due)
