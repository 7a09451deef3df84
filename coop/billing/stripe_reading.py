"""Reading Stripe: its objects, as the library gives them, in the structs of `gateway`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, cast
from uuid import UUID

from coop.billing.gateway import (
    CheckoutState,
    DisputeState,
    InvoiceState,
    PaymentState,
    RefundState,
    Settlement,
    SubscriptionState,
)
from coop.billing.stripe_library import stripe
from coop.money import ZERO, Money

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe.checkout import Session

_CLOSED_DISPUTES: dict[str, Literal["warning", "won", "lost"]] = {
    "won": "won",
    "lost": "lost",
    "warning_needs_response": "warning",
    "warning_under_review": "warning",
    "warning_closed": "warning",
    "prevented": "warning",
}

_CONFIRM = "authentication_required"
"""Stripe's code for a charge that its card's bank wants confirmed while nobody is there to do it."""


def id_of(reference: object) -> str | None:
    """Return the id behind a field that is an id or, expanded, an object."""
    if reference is None or isinstance(reference, str):
        return reference
    return str(cast("stripe.StripeObject", reference)["id"])


def operation_of(metadata: object) -> UUID | None:
    """Return our operation that an object was made for, if its metadata names one."""
    kept = cast("Mapping[str, str] | None", metadata)
    if kept is None or "operation" not in kept:
        return None
    try:
        return UUID(kept["operation"])
    except ValueError:
        return None


def checkout(session: "Session") -> CheckoutState:
    """Read a checkout session."""
    return CheckoutState(
        id=session.id,
        operation=operation_of(session.metadata),
        status=cast("Literal['open', 'complete', 'expired']", session.status or "open"),
        paid=session.payment_status == "paid",
        amount=Money(session.amount_total or 0),
        currency=session.currency or "",
        url=session.url,
        payment=id_of(session.payment_intent),
        invoice=id_of(session.invoice),
        subscription=id_of(session.subscription),
        customer=id_of(session.customer),
    )


def payment(intent: stripe.PaymentIntent) -> PaymentState:
    """Read a payment intent whose charge and balance transaction are expanded."""
    charge = intent.latest_charge if isinstance(intent.latest_charge, stripe.Charge) else None
    moved = charge.balance_transaction if charge is not None else None
    return PaymentState(
        id=intent.id,
        operation=operation_of(intent.metadata),
        charge=None if charge is None else charge.id,
        succeeded=intent.status == "succeeded",
        failed=intent.status in {"requires_payment_method", "canceled"},
        amount=Money(intent.amount_received),
        currency=intent.currency,
        refunded=ZERO if charge is None else Money(charge.amount_refunded),
        settlement=settlement(moved) if isinstance(moved, stripe.BalanceTransaction) else None,
    )


def settlement(moved: stripe.BalanceTransaction) -> Settlement:
    """Read a balance transaction."""
    return Settlement(id=moved.id, amount=Money(moved.amount), fee=Money(moved.fee), net=Money(moved.net))


def subscription(found: stripe.Subscription) -> SubscriptionState:
    """Read a subscription."""
    item = found["items"].data[0]
    return SubscriptionState(
        id=found.id,
        operation=operation_of(found.metadata),
        status=found.status,
        stops=found.cancel_at_period_end or found.cancel_at is not None,
        paused=found.pause_collection is not None,
        charges=Money(item.price.unit_amount or 0),
        next_charge=datetime.fromtimestamp(item.current_period_end, UTC),
        customer=id_of(found.customer),
    )


def invoice(found: stripe.Invoice) -> InvoiceState:
    """Read an invoice that shows the payment that paid it, or was to."""
    tried = [] if found.payments is None else [one for one in found.payments.data if one.status != "canceled"]
    intents = [one.payment.payment_intent for one in tried]
    intent = next((one for one in intents if isinstance(one, stripe.PaymentIntent)), None)
    error = None if intent is None else intent.last_payment_error
    parent = found.parent.subscription_details if found.parent is not None else None
    return InvoiceState(
        id=str(found.id),
        status=found.status or "draft",
        amount=Money(found.amount_paid),
        currency=found.currency,
        reason=found.billing_reason or "",
        subscription=None if parent is None else id_of(parent.subscription),
        operation=None if parent is None else operation_of(parent.metadata),
        attempts=found.attempt_count,
        payment=intent.id if intent is not None and found.status == "paid" else None,
        declined=None if error is None else (error.decline_code or error.code),
        asks=intent is not None
        and (intent.status == "requires_action" or (error is not None and error.code == _CONFIRM)),
        next_try=None
        if found.next_payment_attempt is None
        else datetime.fromtimestamp(found.next_payment_attempt, UTC),
        pay_url=found.hosted_invoice_url,
    )


def refund(found: stripe.Refund) -> RefundState:
    """Read a refund."""
    return RefundState(
        id=found.id,
        operation=operation_of(found.metadata),
        payment=id_of(found.payment_intent),
        status=found.status or "pending",
        amount=Money(found.amount),
    )


def dispute(found: stripe.Dispute) -> DisputeState:
    """Read a dispute."""
    fees = [Money(moved.fee) for moved in found.balance_transactions]
    return DisputeState(
        id=found.id,
        payment=id_of(found.payment_intent),
        status=_CLOSED_DISPUTES.get(found.status, "open"),
        withdrawn=bool(found.balance_transactions),
        amount=Money(found.amount),
        fee=sum((fee for fee in fees if fee > ZERO), ZERO),
        fee_returned=-sum((fee for fee in fees if fee < ZERO), ZERO),
    )
