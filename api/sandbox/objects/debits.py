"""Bank debits: accepted today, and paid or failed some days later."""

from api.sandbox.desk import Desk, public
from api.sandbox.objects import charges
from api.sandbox.objects.cards import decline, numbered
from api.sandbox.operations import changed
from api.sandbox.problems import Doc


def accept(desk: Desk, intent: Doc, method: Doc) -> Doc:
    """Begin a debit: the intent is processing until the bank has answered."""
    charge = charges.record(desk, intent, method, None, pending=True)
    intent |= {"status": "processing", "latest_charge": charge["id"], "last_payment_error": None}
    desk.save(intent)
    desk.emit("payment_intent.processing", intent)
    desk.later(desk.instant + desk.terms.debit_delay, "charge.clear", charge["id"])
    return intent


def clear(desk: Desk, name: str) -> None:
    """Let the bank answer: the charge is paid, or it has failed, and so has the checkout that waited for it."""
    charge = desk.get("charge", name)
    intent = desk.get("payment_intent", charge["payment_intent"])
    session = desk.find(intent.get("_session"))
    known = numbered(charge["_card"])
    if known is not None and known.reason:
        _fail(desk, charge, intent, known.reason)
        if session is not None:
            desk.emit("checkout.session.async_payment_failed", session)
        return
    charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": charge["amount"]}
    desk.save(charge)
    desk.emit("charge.succeeded", charge)
    charges.follow_up(desk, charge)
    fields = {"status": "succeeded", "amount_received": intent["amount"]}
    changed(desk, intent, fields, "payment_intent.succeeded")
    if session is not None:
        changed(desk, session, {"payment_status": "paid"}, "checkout.session.async_payment_succeeded")


def _fail(desk: Desk, charge: Doc, intent: Doc, reason: str) -> None:
    error = decline(reason) | {"charge": charge["id"], "message": "The bank account has insufficient funds."}
    failure = {"status": "failed", "failure_code": error["code"], "failure_message": error["message"]}
    changed(desk, charge, failure, "charge.failed")
    method = desk.get("payment_method", charge["payment_method"])
    intent |= {
        "status": "requires_payment_method",
        "last_payment_error": error | {"payment_method": public(method)},
        "payment_method": None,
    }
    desk.save(intent)
    desk.emit("payment_intent.payment_failed", intent)
