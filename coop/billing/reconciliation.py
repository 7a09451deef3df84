"""Reconciliation: once an hour, everything that a lost webhook or a lost answer would have told.

Each step asks the processor about rows of ours that are not final; what it says goes through the same `apply` that the
webhooks use, so doing it again changes nothing.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy import exists, select

from coop.billing import arrears, checkout, credit, disputes, payments, refunds, renewals, subscriptions
from coop.billing.checkout import Checkout
from coop.billing.disputes import Dispute
from coop.billing.gateway import Gateway, InvoiceState
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.billing.subscriptions import Subscription
from coop.errors import CoopError
from coop.membership.terms import Term
from coop.unit_of_work import Units

BATCH = 200

log = structlog.get_logger("coop.reconciliation")

Step = Callable[[Units, Gateway], Awaitable[int]]


async def run(units: Units, gateway: Gateway) -> int:
    """Do every step; one that fails is logged and does not keep the others from their turn."""
    done = 0
    for step in (
        settle_checkouts,
        settle_payments,
        settle_subscriptions,
        arrears.settle_due,
        refunds.send_due,
        check_refunds,
        check_disputes,
        subscriptions.carry_out_due,
        credit.return_due,
    ):
        done += await _attempt(step, units, gateway)
    return done


async def _attempt(step: Step, units: Units, gateway: Gateway) -> int:
    try:
        return await step(units, gateway)
    except CoopError as error:
        log.warning("reconciliation_step", step=step.__name__, code=error.code)
        return 0


async def settle_checkouts(units: Units, gateway: Gateway) -> int:
    """Ask about payment pages whose outcome we have not heard of, and close those past their time."""
    async with units.read() as work:
        rows = await work.session.scalars(
            select(Checkout)
            .where(
                Checkout.state.in_(("intended", "open")), Checkout.begun_at < work.now - timedelta(minutes=5)
            )
            .order_by(Checkout.begun_at)
            .limit(BATCH)
        )
        under_way = list(rows)
        now = work.now
    for row in under_way:
        if row.expires_at <= now:
            await checkout.close(units, gateway, row)
        elif row.gateway_id is not None:
            await checkout.settle(units, gateway, await gateway.fetch_checkout(row.gateway_id))
    return len(under_way)


async def settle_payments(units: Units, gateway: Gateway) -> int:
    """Ask about payments that the processor had not booked on our balance yet."""
    async with units.read() as work:
        rows = list(
            await work.session.scalars(
                select(Payment).where(Payment.settlement.is_(None)).order_by(Payment.received_at).limit(BATCH)
            )
        )
    for row in rows:
        state = await gateway.fetch_payment(row.gateway_id)
        if state.settlement is not None:
            async with units.open() as work:
                await payments.settle(work, row, state.settlement)
    return len(rows)


async def settle_subscriptions(units: Units, gateway: Gateway) -> int:
    """Ask about renewals near their day: whether they run, and which invoices were paid."""
    async with units.read() as work:
        paid_beyond = exists().where(
            Term.account_id == Subscription.account_id, Term.ends > work.now + timedelta(days=31)
        )
        rows = list(
            await work.session.scalars(
                select(Subscription)
                .where(Subscription.status.not_in(subscriptions.ENDED), ~paid_beyond)
                .order_by(Subscription.begun_at)
                .limit(BATCH)
            )
        )
    for row in rows:
        state = await gateway.fetch_subscription(row.id)
        invoices = await gateway.list_invoices(row.id)
        for invoice in invoices:
            await _settle_invoice(units, gateway, invoice)
        async with units.open() as work:
            await subscriptions.apply(work, state)
    return len(rows)


async def _settle_invoice(units: Units, gateway: Gateway, invoice: InvoiceState) -> None:
    if invoice.payment is None:
        return
    async with units.read() as work:
        if await payments.of_gateway(work, invoice.payment) is not None:
            return
    payment = await gateway.fetch_payment(invoice.payment)
    async with units.open() as work:
        await renewals.apply(work, invoice, payment)


async def check_refunds(units: Units, gateway: Gateway) -> int:
    """Ask about the refunds of the last weeks: banks return some, and people make some in the dashboard."""
    async with units.read() as work:
        since = work.now - timedelta(days=35)
        rows = await work.session.execute(
            select(Refund.gateway_id, Refund.state).where(
                Refund.gateway_id.is_not(None), Refund.intended_at > since
            )
        )
        known = {str(gateway_id): state for gateway_id, state in rows}
    done = 0
    for state in await gateway.list_refunds(since=since):
        came_back = state.status in {"failed", "canceled"}
        if known.get(state.id) == ("failed" if came_back else "sent"):
            continue
        async with units.open() as work:
            done += await refunds.apply(work, state)
    return done


async def check_disputes(units: Units, gateway: Gateway) -> int:
    """Ask about disputes: those we know to be open, and those opened lately."""
    async with units.read() as work:
        since = work.now - timedelta(days=35)
        known = set(await work.session.scalars(select(Dispute.id).where(Dispute.state == "open")))
        booked = set(await work.session.scalars(select(Dispute.id).where(Dispute.opened_at > since)))
    states = [await gateway.fetch_dispute(dispute) for dispute in sorted(known)]
    states += [state for state in await gateway.list_disputes(since) if state.id not in booked]
    for state in states:
        async with units.open() as work:
            await disputes.apply(work, state)
    return len(states)
