"""Completing a checkout: a card was entered, confirmed or given up on the hosted page."""

from dataclasses import dataclass

from api.sandbox.desk import Desk, nothing, public
from api.sandbox.objects import (
    billing,
    cards,
    customers,
    invoices,
    payment_methods,
    payments,
    setups,
    subscriptions,
)
from api.sandbox.operations import EXPAND, Operation, changed
from api.sandbox.parameters import amount, text
from api.sandbox.problems import Doc, StripeProblem


@dataclass(frozen=True)
class Outcome:
    """What the page shows next: a reason why not, an intent to confirm, or the way back (neither)."""

    refused: str | None = None
    confirm: str | None = None


def submit(desk: Desk, session: Doc, method: Doc) -> Outcome:
    """Pay, subscribe or keep the card, as the session asks."""
    if method["type"] != "card" and session["mode"] != "payment":
        return Outcome(refused="Here a bank account works for single payments only.")
    if session["mode"] == "setup":
        intent = desk.get("setup_intent", session["setup_intent"])
        customer = _customer(desk, session, method)
        intent["customer"] = None if customer is None else customer["id"]
        return _kept(desk, session, setups.confirm(desk, intent, method))
    if session["mode"] == "payment":
        _customer(desk, session, method)
        intent = _payment_intent(desk, session)
        intent["_session"] = session["id"]
        return _paid(desk, session, payments.confirm(desk, intent, method))
    return _subscribed(desk, session, method)


def finish(desk: Desk, intent: Doc, *, confirmed: bool) -> Outcome:
    """Go on after 3-D Secure: `confirmed` by the cardholder, or given up."""
    session = desk.find(intent.get("_session"))
    if intent["status"] != "requires_action" or (session is not None and session["status"] != "open"):
        raise StripeProblem("There is nothing to confirm any more.", code="payment_intent_unexpected_state")
    method = desk.get("payment_method", intent["payment_method"])
    if intent["object"] == "setup_intent":
        done = (
            setups.confirm(desk, intent, method, confirmed=True)
            if confirmed
            else setups.refuse(desk, intent, "authentication_failure")
        )
        return _kept(desk, session, done)
    if confirmed:
        payments.confirm(desk, intent, method, confirmed=True)
        billing.resume_intent(desk, intent)
    else:
        payments.refuse(desk, intent, method, "authentication_failure")
    return _paid(desk, session, intent)


def _kept(desk: Desk, session: Doc | None, intent: Doc) -> Outcome:
    if intent["status"] == "requires_action":
        return Outcome(confirm=intent["id"])
    if intent["status"] != "succeeded":
        return Outcome(refused=intent["last_setup_error"]["message"])
    if session is not None:
        _complete(desk, session, "no_payment_required", {})
    return Outcome()


def _paid(desk: Desk, session: Doc | None, intent: Doc) -> Outcome:
    if intent["status"] == "requires_action":
        return Outcome(confirm=intent["id"])
    if intent["status"] not in {"succeeded", "processing"}:
        return Outcome(refused=intent["last_payment_error"]["message"])
    if session is not None:
        more = {"payment_intent": intent["id"]} if session["mode"] == "payment" else {}
        _complete(desk, session, "paid" if intent["status"] == "succeeded" else "unpaid", more)
    return Outcome()


def _customer(desk: Desk, session: Doc, method: Doc) -> Doc | None:
    """Return the session's customer; made now if the session needs one."""
    if session["customer"]:
        return customers.present(desk, session["customer"])
    keeps = session["mode"] == "subscription" or bool(session["_data"].get("setup_future_usage"))
    if not keeps and session["customer_creation"] != "always":
        return None
    billing_details = method["billing_details"]
    customer = customers.make(
        desk,
        {"email": session["customer_email"] or billing_details["email"], "name": billing_details["name"]},
    )
    session["customer"] = customer["id"]
    desk.save(session)
    return customer


def _payment_intent(desk: Desk, session: Doc) -> Doc:
    if session["payment_intent"]:
        return desk.get("payment_intent", session["payment_intent"])
    data = session["_data"]
    intent = payments.make(
        desk,
        {
            "amount": session["amount_total"],
            "currency": session["currency"],
            "customer": session["customer"],
            "metadata": {
                key: value for key, value in (data.get("metadata") or {}).items() if value is not None
            },
            "_session": session["id"],
        }
        | {key: value for key, value in data.items() if key != "metadata" and value is not None},
    )
    session["payment_intent"] = intent["id"]
    desk.save(session)
    return intent


def _subscribed(desk: Desk, session: Doc, method: Doc) -> Outcome:
    card = cards.numbered(method["_card"])
    if card is not None and card.behaviour in {"declines", "fails_later"}:
        # As with Stripe, a first payment that is declined leaves no subscription behind.
        return Outcome(refused=cards.decline(card.reason)["message"])
    subscription = desk.find(session["subscription"])
    if subscription is not None and subscription["status"] == "incomplete":
        invoice = desk.get("invoice", subscription["latest_invoice"])
        invoices.pay(desk, invoice, method, off_session=False)
    else:
        customer = _customer(desk, session, method)
        if customer is None:
            raise StripeProblem("A subscription needs a customer.")
        payment_methods.attach(desk, method, customer)
        prices = [(item["price"], item) for item in session["_items"]]
        data = session["_data"] | {"default_payment_method": method["id"]}
        subscription = subscriptions.make(desk, customer, prices, data)
        session["subscription"] = subscription["id"]
        invoice = subscriptions.begin(desk, subscription, method, off_session=False, session=session["id"])
        session["invoice"] = invoice["id"]
        desk.save(session)
    intent = invoices.intent_of(desk, invoice)
    if intent is None:
        _complete(desk, session, "no_payment_required" if session["amount_total"] == 0 else "paid", {})
        return Outcome()
    return _paid(desk, session, intent)


def _complete(desk: Desk, session: Doc, payment_status: str, more: Doc) -> None:
    customer = desk.find(session["customer"])
    email = session["customer_email"] or (customer["email"] if customer else None)
    details: Doc = {
        "email": email,
        "name": customer["name"] if customer else None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    changed(
        desk,
        session,
        {
            "customer_details": nothing("address", "business_name", "individual_name", "phone") | details,
            "payment_status": payment_status,
            "status": "complete",
            "url": None,
        }
        | more,
        "checkout.session.completed",
    )


def abandon_intents(desk: Desk, session: Doc) -> None:
    """End what an expiring session had begun, so that nobody can pay it any more."""
    intent = desk.find(session["payment_intent"])
    if intent is not None and intent["status"] in payments.WAITING:
        payments.cancel(desk, intent, "abandoned")
    setup = desk.find(session["setup_intent"])
    if setup is not None and setup["status"] not in {"succeeded", "canceled"}:
        fields = {"status": "canceled", "cancellation_reason": "abandoned", "next_action": None}
        changed(desk, setup, fields, "setup_intent.canceled")
    if session["subscription"]:
        billing.expire(desk, session["subscription"])


def _page(desk: Desk, _params: Doc, name: str) -> Doc:
    return public(desk.get("checkout.session", name))


def _confirm_page(desk: Desk, params: Doc, name: str) -> Doc:
    session = desk.get("checkout.session", name)
    if session["status"] != "open":
        raise StripeProblem("This Checkout Session is no longer open.", code="checkout_session_not_open")
    if params.get("expected_amount") not in {None, session["amount_total"]}:
        raise StripeProblem("The amount has changed.", param="expected_amount")
    outcome = submit(desk, session, payment_methods.chosen(desk, params.get("payment_method") or ""))
    if outcome.refused:
        raise cards.declined({"type": "card_error", "code": "card_declined", "message": outcome.refused})
    return desk.get("checkout.session", name)


OPERATIONS = [
    # What the hosted page of Stripe itself calls; the Stripe CLI completes sessions by it.
    Operation("POST", "/v1/payment_pages/{}", _page, EXPAND),
    Operation("GET", "/v1/payment_pages/{}", _page),
    Operation(
        "POST",
        "/v1/payment_pages/{}/confirm",
        _confirm_page,
        EXPAND | {"payment_method": text, "expected_amount": amount},
    ),
]
