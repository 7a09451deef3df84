"""Rows of ours that are not final: each is asked about, whatever webhooks said."""

import contextlib
from datetime import timedelta

from sqlalchemy import case, exists, select

from coop.billing import checkout, disputes, payments, renewals, subscriptions
from coop.billing.disputes import Dispute
from coop.billing.gateway import Gateway, InvoiceState, NotVisible
from coop.billing.intents import Checkout
from coop.billing.payments import Payment
from coop.billing.reconciliation import differences
from coop.billing.reconciliation import renewals as compared
from coop.billing.reconciliation.differences import Difference, Found
from coop.billing.reconciliation.tally import Tally
from coop.billing.subscriptions import Subscription
from coop.membership.terms import Term
from coop.money import ZERO
from coop.unit_of_work import Units

BATCH = 200


async def settle_checkouts(units: Units, gateway: Gateway, tally: Tally) -> None:
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
        with tally.outlived("checkout", str(row.id)):
            if row.expires_at <= now:
                await checkout.close(units, gateway, row)
            elif row.gateway_id is not None:
                await checkout.settle(units, gateway, await gateway.fetch_checkout(row.gateway_id))
            async with units.read() as work:
                ended = await work.session.get(Checkout, row.id)
            if ended is not None and ended.state == "paid":
                tally.heal("checkout", row.gateway_id or str(row.id))


async def settle_payments(units: Units, gateway: Gateway, tally: Tally) -> None:
    """Ask about payments that the processor had not booked on our balance yet."""
    async with units.read() as work:
        rows = list(
            await work.session.scalars(
                select(Payment).where(Payment.settlement.is_(None)).order_by(Payment.received_at).limit(BATCH)
            )
        )
    for row in rows:
        with tally.outlived("payment", row.gateway_id):
            try:
                state = await gateway.fetch_payment(row.gateway_id)
            except NotVisible:
                await _missing(units, tally, row)
                continue
            if state.settlement is not None:
                async with units.open() as work:
                    if await payments.settle(work, row, state.settlement):
                        tally.heal("payment", row.gateway_id)


async def recheck_payments(units: Units, gateway: Gateway, tally: Tally) -> None:
    """Ask again about payments that Stripe did not know."""
    async with units.read() as work:
        rows = await work.session.scalars(
            select(Difference)
            .where(Difference.state == "open", Difference.kind == "payment_missing")
            .order_by(Difference.seen_at)
            .limit(BATCH)
        )
        missing = list(rows)
    for row in missing:
        with contextlib.suppress(NotVisible):
            await gateway.fetch_payment(row.object_id)
            async with units.open() as work:
                tally.closed += await differences.gone(work, row.id)


async def _missing(units: Units, tally: Tally, row: Payment) -> None:
    async with units.open() as work:
        tally.opened += await differences.note(
            work,
            Found(
                kind="payment_missing",
                object_id=row.gateway_id,
                since=row.received_at,
                at_stripe=ZERO,
                in_books=row.amount,
            ),
        )


async def settle_subscriptions(units: Units, gateway: Gateway, tally: Tally) -> None:
    """Ask about renewals and monthly gifts near their day: whether they run, and which invoices were paid."""
    async with units.read() as work:
        paid_beyond = exists().where(
            Term.account_id == Subscription.account_id, Term.ends > work.now + timedelta(days=31)
        )
        month_paid = exists().where(
            Payment.subscription == Subscription.id, Payment.received_at > work.now - timedelta(days=27)
        )
        quiet = case((Subscription.purpose == "sponsor", month_paid), else_=paid_beyond)
        rows = list(
            await work.session.scalars(
                select(Subscription)
                .where(Subscription.status.not_in(subscriptions.ENDED), ~quiet)
                .order_by(Subscription.begun_at)
                .limit(BATCH)
            )
        )
    for row in rows:
        with tally.outlived("subscription", row.id):
            try:
                state = await gateway.fetch_subscription(row.id)
            except NotVisible:
                await compared.missing(units, tally, row.id)
                continue
            for invoice in await gateway.list_invoices(row.id):
                await _settle_invoice(units, gateway, tally, invoice)
            async with units.open() as work:
                if await subscriptions.apply(work, state):
                    tally.heal("subscription", row.id)


async def _settle_invoice(units: Units, gateway: Gateway, tally: Tally, invoice: InvoiceState) -> None:
    if invoice.payment is None:
        return
    async with units.read() as work:
        if await payments.of_gateway(work, invoice.payment) is not None:
            return
    payment = await gateway.fetch_payment(invoice.payment)
    async with units.open() as work:
        if await renewals.apply(work, invoice, payment):
            tally.heal("invoice", invoice.id)


async def check_disputes(units: Units, gateway: Gateway, tally: Tally) -> None:
    """Ask about the disputes that we know to be open: a lost one ends without moving money."""
    async with units.read() as work:
        known = list(
            await work.session.scalars(
                select(Dispute.id).where(Dispute.state == "open").order_by(Dispute.opened_at).limit(BATCH)
            )
        )
    for name in known:
        with tally.outlived("dispute", name):
            state = await gateway.fetch_dispute(name)
            async with units.open() as work:
                if await disputes.apply(work, state):
                    tally.heal("dispute", name)
