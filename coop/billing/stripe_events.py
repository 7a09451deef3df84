"""Stripe's webhooks: verified, looked up, applied in one unit, and acknowledged only once that is committed.

An event is only a hint that an object changed: what it carries is never believed and its order never relied on. The
object is fetched before any transaction begins; in one unit the event's id is inserted (a repeat ends there) and the
object's present state applied, under guards of its own, so that two events about one object do no more than one.
"""

from datetime import datetime

import msgspec
import structlog
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from coop.billing import checkout, disputes, payments, refunds, renewals, subscriptions
from coop.billing.gateway import (
    CheckoutState,
    DisputeState,
    Gateway,
    InvoiceState,
    Notice,
    PaymentState,
    RefundState,
    SubscriptionState,
)
from coop.billing.intents import Checkout
from coop.database import Base, insert_once
from coop.unit_of_work import UnitOfWork, Units

WANTED = (
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.updated",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.updated",
    "invoice.paid",
    "invoice.payment_failed",
    "refund.created",
    "refund.failed",
    "refund.updated",
)
"""The events to choose for the webhook endpoint; others are kept and ignored, at the price of a transaction each."""

log = structlog.get_logger("coop.stripe")


class StripeEvent(Base):
    """One event that was acknowledged; its id keeps repeats out."""

    __tablename__ = "stripe_events"

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    type: Mapped[str] = mapped_column(String(255))
    object_id: Mapped[str] = mapped_column(String(255))
    received_at: Mapped[datetime] = mapped_column(index=True)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the processor says now of the objects that an event is about."""

    checkout: CheckoutState | None = None
    payment: PaymentState | None = None
    invoice: InvoiceState | None = None
    subscription: SubscriptionState | None = None
    refund: RefundState | None = None
    dispute: DisputeState | None = None


async def receive(units: Units, gateway: Gateway, payload: bytes, signature: str) -> None:
    """Verify and apply one webhook; returning means that what it says is committed."""
    notice = gateway.read_event(payload, signature, wall=units.clock.wall())
    async with units.read() as work:
        if await work.session.get(StripeEvent, notice.id) is not None:
            return
    facts = await look_up(units, gateway, notice)
    async with units.open() as work:
        if not await insert_once(
            work.session,
            StripeEvent,
            id=notice.id,
            type=notice.type,
            object_id=notice.object_id,
            received_at=work.wall,
        ):
            return
        await apply(work, facts)
    log.debug("stripe_event", id=notice.id, type=notice.type)


async def look_up(units: Units, gateway: Gateway, notice: Notice) -> Facts:
    """Fetch what an event is about; an unknown type is kept and changes nothing."""
    family, _, what = notice.type.rpartition(".")
    name = notice.object_id
    facts = Facts()
    match family:
        case "checkout.session":
            state = await gateway.fetch_checkout(name)
            facts = Facts(checkout=state, payment=await checkout.payment_of(gateway, state))
        case "charge" if what == "updated":
            paid_by = await gateway.payment_of_charge(name)
            facts = Facts(payment=None if paid_by is None else await gateway.fetch_payment(paid_by))
        case "invoice" if what in {"paid", "payment_failed"}:
            facts = await _invoice(units, gateway, name)
        case "customer.subscription":
            facts = Facts(subscription=await gateway.fetch_subscription(name))
        case "refund":
            facts = Facts(refund=await gateway.fetch_refund(name))
        case "charge.dispute":
            facts = Facts(dispute=await gateway.fetch_dispute(name))
    return facts


async def _invoice(units: Units, gateway: Gateway, invoice_id: str) -> Facts:
    invoice = await gateway.fetch_invoice(invoice_id)
    payment = None if invoice.payment is None else await gateway.fetch_payment(invoice.payment)
    if invoice.reason != "subscription_create" or invoice.operation is None:
        return Facts(invoice=invoice, payment=payment)
    # A subscription's first invoice is the same money as its checkout, which alone books it.
    async with units.read() as work:
        begun = await work.session.get(Checkout, invoice.operation)
    if begun is None or begun.state == "paid":
        return Facts(payment=payment)
    if begun.gateway_id is not None:
        return Facts(checkout=await gateway.fetch_checkout(begun.gateway_id), payment=payment)
    return Facts(checkout=await gateway.find_checkout(begun.id, begun.begun_at), payment=payment)


async def apply(work: UnitOfWork, facts: Facts) -> None:
    """Bring our rows to the facts; each step finds out by itself whether it was done before."""
    if facts.checkout is not None:
        await checkout.apply(work, facts.checkout, facts.payment)
    if facts.invoice is not None:
        await renewals.apply(work, facts.invoice, facts.payment)
    if facts.subscription is not None:
        await subscriptions.apply(work, facts.subscription)
    if facts.payment is not None:
        payment = await payments.of_gateway(work, facts.payment.id)
        if payment is not None:
            await payments.settle(work, payment, facts.payment.settlement)
    if facts.refund is not None:
        await refunds.apply(work, facts.refund)
    if facts.dispute is not None:
        await disputes.apply(work, facts.dispute)
