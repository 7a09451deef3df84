"""Shapes: the little that is read of Stripe's objects on the way from an event to the books, decoded at once.

Stripe's library turns every object into a tree of its own, which costs more than all the rest of an event. What is
read here is what `stripe_reading` reads, and the same tests hold for both.
"""

from typing import Annotated
from uuid import UUID

import msgspec

from coop.billing.gateway import Notice, PaymentState, Settlement
from coop.money import ZERO, Money

Id = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\x00]*$")]


class _Kept(msgspec.Struct):
    object: msgspec.Raw


class _Event(msgspec.Struct):
    id: Id
    type: Id
    livemode: bool
    data: _Kept
    account: str | None = None


class _About(msgspec.Struct):
    # A few objects (balance.available) have no id; there is nothing to fetch for them.
    id: Id = ""


class _Details(msgspec.Struct):
    metadata: dict[str, str] | None = None


class _Parent(msgspec.Struct):
    subscription_details: _Details | None = None


class _Session(msgspec.Struct):
    metadata: dict[str, str] | None = None
    payment_intent: str | None = None


class _Invoice(msgspec.Struct):
    parent: _Parent | None = None


class _Moved(msgspec.Struct):
    id: str
    amount: int
    fee: int
    net: int


class _Charge(msgspec.Struct):
    id: str
    amount_refunded: int
    balance_transaction: _Moved | None = None


class _Intent(msgspec.Struct):
    id: str
    status: str
    amount_received: int
    currency: str
    metadata: dict[str, str] | None = None
    latest_charge: _Charge | None = None


_EVENT = msgspec.json.Decoder(_Event)
_ABOUT = msgspec.json.Decoder(_About)
_SESSION = msgspec.json.Decoder(_Session)
_INVOICE = msgspec.json.Decoder(_Invoice)
_INTENT = msgspec.json.Decoder(_Intent)


def event(payload: bytes) -> Notice:
    """Return what an event is about, with hints of where to look; raise `msgspec.MsgspecError` if it is none."""
    told = _EVENT.decode(payload)
    about = _ABOUT.decode(told.data.object)
    try:
        operation, paid_by = _hints(told)
    except msgspec.MsgspecError:
        # Of another shape than is known here: then it is looked up as every other event is.
        operation, paid_by = None, None
    return Notice(
        id=told.id,
        type=told.type,
        object_id=about.id,
        live=told.livemode,
        account=told.account,
        operation=operation,
        payment=paid_by,
    )


def _hints(told: _Event) -> tuple[UUID | None, str | None]:
    if told.type.startswith("checkout.session."):
        session = _SESSION.decode(told.data.object)
        return _operation(session.metadata), session.payment_intent
    if told.type == "invoice.paid":
        parent = _INVOICE.decode(told.data.object).parent
        details = None if parent is None else parent.subscription_details
        return None if details is None else _operation(details.metadata), None
    return None, None


def payment(body: bytes) -> PaymentState:
    """Read a payment intent whose charge and balance transaction are expanded."""
    intent = _INTENT.decode(body)
    charge = intent.latest_charge
    moved = None if charge is None else charge.balance_transaction
    return PaymentState(
        id=intent.id,
        operation=_operation(intent.metadata),
        charge=None if charge is None else charge.id,
        succeeded=intent.status == "succeeded",
        failed=intent.status in {"requires_payment_method", "canceled"},
        amount=Money(intent.amount_received),
        currency=intent.currency,
        refunded=ZERO if charge is None else Money(charge.amount_refunded),
        settlement=None
        if moved is None
        else Settlement(id=moved.id, amount=Money(moved.amount), fee=Money(moved.fee), net=Money(moved.net)),
    )


def _operation(metadata: dict[str, str] | None) -> UUID | None:
    if not metadata or "operation" not in metadata:
        return None
    try:
        return UUID(metadata["operation"])
    except ValueError:
        return None
