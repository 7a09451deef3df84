"""Stripe's webhooks: verified, looked up, applied in one unit, and acknowledged only once that is committed.

An event is only a hint that an object changed: what it carries is never believed and its order never relied on. The
object is fetched before any transaction begins; in one unit the event's id is inserted (a repeat ends there) and the
object's present state applied, under guards of its own, so that two events about one object do no more than one. The
commonest of all, a newcomer's year paid at once, is such a unit in one statement (`paid_year`).
"""

from collections.abc import Sequence

import msgspec
import structlog

from coop.billing import checkout, disputes, paid_year, payments, refunds, renewals, seen, subscriptions
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
from coop.billing.paid_year import Paid
from coop.billing.seen import Asked, Seen, StripeEvent
from coop.database import insert_once
from coop.gathering import Gathering
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


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the processor says now of the objects that an event is about."""

    checkout: CheckoutState | None = None
    payment: PaymentState | None = None
    invoice: InvoiceState | None = None
    subscription: SubscriptionState | None = None
    refund: RefundState | None = None
    dispute: DisputeState | None = None


class Intake:
    """Receives webhooks; those that come at the same moment are looked at, and written down, together."""

    def __init__(self, units: Units, gateway: Gateway):
        """Receive for one cooperative; made once, at the composition root."""
        self._units = units
        self._gateway = gateway
        self._looks = Gathering(self._look)
        self._writes = Gathering(self._write)

    async def receive(self, payload: bytes, signature: str) -> None:
        """Verify and apply one webhook; returning means that what it says is committed."""
        notice = self._gateway.read_event(payload, signature, wall=self._units.clock.wall())
        found = await self._looks.ask(Asked(notice.id, notice.operation))
        if found.repeated:
            return
        facts = await self._facts(notice, found)
        if facts.checkout is not None and facts.payment is not None and paid_year.may_be(found):
            if await self._writes.ask(Paid(notice, found, facts.checkout, facts.payment)):
                return
            log.info("stripe_event_elsewhere", id=notice.id)
        async with self._units.open() as work:
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

    async def _facts(self, notice: Notice, found: Seen) -> Facts:
        """Fetch what an event is about: for a year that is paid at once, the payment alone tells how its page ended."""
        at_once = not found.automatic and found.gateway_id == notice.object_id and paid_year.may_be(found)
        if at_once and notice.payment is not None:
            payment = await self._gateway.fetch_payment(notice.payment)
            if payment.operation == found.checkout and payment.succeeded:
                return Facts(checkout=paid_year.page_of(notice.object_id, payment), payment=payment)
        return await look_up(self._units, self._gateway, notice)

    async def _look(self, asked: Sequence[Asked]) -> list[Seen]:
        async with self._units.line() as line:
            return await seen.look(line, asked)

    async def _write(self, years: Sequence[Paid]) -> list[bool]:
        return await paid_year.write(self._units, years)


async def receive(units: Units, gateway: Gateway, payload: bytes, signature: str) -> None:
    """Verify and apply one webhook, with no others beside it."""
    await Intake(units, gateway).receive(payload, signature)


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
