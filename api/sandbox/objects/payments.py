"""Payment intents: one purpose to be paid, through as many attempts as it takes."""

from api.sandbox.desk import Desk, fresh, nothing
from api.sandbox.listing import listed, searched
from api.sandbox.objects import charges, customers, debits, payment_methods
from api.sandbox.objects.cards import decline, declined, numbered
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import (
    SHIPPING,
    Shape,
    address,
    amount,
    count,
    currency,
    flag,
    merged,
    metadata,
    need,
    one_of,
    text,
)
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.rules import enough

_CONFIRM: dict[str, Shape] = {
    "off_session": flag,
    "payment_method": text,
    "return_url": address,
    "setup_future_usage": one_of("off_session", "on_session"),
    "receipt_email": text,
    "error_on_requires_action": flag,
}
_PLAIN: dict[str, Shape] = {
    "amount": amount,
    "currency": currency,
    "customer": text,
    "description": text,
    "metadata": metadata,
    "shipping": SHIPPING,
    "statement_descriptor": text,
    "statement_descriptor_suffix": text,
    "transfer_group": text,
    "payment_method_types": [one_of("card", "sepa_debit", "us_bank_account")],
}
WAITING = {"requires_payment_method", "requires_confirmation", "requires_action"}


def make(desk: Desk, fields: Doc) -> Doc:
    """Keep a new payment intent and report it."""
    intent = desk.new(
        "payment_intent",
        {
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": 0,
            "capture_method": "automatic_async",
            "client_secret": None,
            "confirmation_method": "automatic",
            "metadata": {},
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
        }
        | nothing(
            "application",
            "application_fee_amount",
            "automatic_payment_methods",
            "canceled_at",
            "cancellation_reason",
            "customer",
            "description",
            "last_payment_error",
            "latest_charge",
            "next_action",
            "on_behalf_of",
            "payment_method",
            "payment_method_options",
            "processing",
            "receipt_email",
            "review",
            "setup_future_usage",
            "shipping",
            "statement_descriptor",
            "statement_descriptor_suffix",
            "transfer_data",
            "transfer_group",
        )
        | fields,
    )
    intent["client_secret"] = f"{intent['id']}_secret_{fresh('', 16).strip('_')}"
    desk.save(intent)
    desk.emit("payment_intent.created", intent)
    return intent


def confirm(
    desk: Desk, intent: Doc, method: Doc, *, off_session: bool = False, confirmed: bool = False
) -> Doc:
    """Try to charge `method`; the intent then has succeeded, asks for confirmation or wants another card.

    `confirmed` says that the cardholder has just passed 3-D Secure.
    """
    intent["payment_method"] = method["id"]
    card = numbered(method["_card"])
    reason = _reason(desk, method, off_session=off_session)
    asks = card is not None and card.asks
    trusted = off_session and method["_confirmed"] and card is not None and card.behaviour == "asks"
    if reason is None and asks and not confirmed and not trusted:
        if not off_session:
            intent |= {
                "status": "requires_action",
                "next_action": {
                    "redirect_to_url": {
                        "return_url": intent.get("_return_url"),
                        "url": f"{desk.url}/authenticate/{intent['id']}",
                    },
                    "type": "redirect_to_url",
                },
            }
            desk.save(intent)
            desk.emit("payment_intent.requires_action", intent)
            return intent
        reason = "authentication_required"
    if reason is not None:
        return refuse(desk, intent, method, reason)
    if card is not None and card.behaviour == "slow":
        return debits.accept(desk, intent, method)
    if confirmed and intent["setup_future_usage"] == "off_session":
        method["_confirmed"] = True
        desk.save(method)
    charge = charges.record(desk, intent, method, None)
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charge["id"],
        "last_payment_error": None,
        "next_action": None,
    }
    desk.save(intent)
    desk.emit("payment_intent.succeeded", intent)
    if intent["setup_future_usage"] and intent["customer"]:
        payment_methods.attach(desk, method, customers.present(desk, intent["customer"]))
    return intent


def refuse(desk: Desk, intent: Doc, method: Doc, reason: str) -> Doc:
    """Record a declined attempt: the intent wants another payment method."""
    error = decline(reason)
    if reason != "authentication_failure":
        charge = charges.record(desk, intent, method, error)
        intent["latest_charge"] = charge["id"]
        error["charge"] = charge["id"]
    intent |= {
        "status": "requires_payment_method",
        "last_payment_error": error | {"payment_method": _shown(method)},
        "next_action": None,
        "payment_method": None,
    }
    desk.save(intent)
    desk.emit("payment_intent.payment_failed", intent)
    return intent


def _shown(method: Doc) -> Doc:
    return {key: value for key, value in method.items() if not key.startswith("_")}


def _reason(desk: Desk, method: Doc, *, off_session: bool) -> str | None:
    """Return why the bank declines a charge on this card, if it does."""
    card = numbered(method["_card"])
    if card is None or card.behaviour in {"declines", "fails_later"}:
        return card.reason if card else "generic_decline"
    if off_session and desk.take_fault(("declined",), "charge") is not None:
        return "insufficient_funds"
    return None


def cancel(desk: Desk, intent: Doc, reason: str | None) -> Doc:
    """End an intent that nobody will pay."""
    return changed(
        desk,
        intent,
        {"status": "canceled", "canceled_at": desk.now, "cancellation_reason": reason, "next_action": None},
        "payment_intent.canceled",
    )


def _create(desk: Desk, params: Doc) -> Doc:
    need(params, "amount", "currency")
    enough(params["amount"], params["currency"])
    if params.get("customer"):
        customers.present(desk, params["customer"])
    automatic = params.get("automatic_payment_methods")
    fields = {
        name: params[name] for name in (*_PLAIN, "receipt_email", "setup_future_usage") if name in params
    }
    fields["metadata"] = merged({}, params.get("metadata"))
    if automatic or "payment_method_types" not in params:
        fields["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True} | (
            automatic or {}
        )
    intent = make(desk, fields | {"_return_url": params.get("return_url")})
    if params.get("payment_method"):
        method = _method(desk, intent, params["payment_method"])
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
        desk.save(intent)
    if params.get("confirm"):
        return _confirm_now(desk, intent, params)
    return intent


def _method(desk: Desk, intent: Doc, name: str) -> Doc:
    method = payment_methods.chosen(desk, name)
    if method["customer"] not in {None, intent["customer"]}:
        raise StripeProblem(
            "The provided PaymentMethod belongs to another Customer. Supply that customer with the payment.",
            code="payment_method_unexpected_state",
            param="payment_method",
        )
    return method


def _confirm_now(desk: Desk, intent: Doc, params: Doc) -> Doc:
    name = intent["payment_method"] or params.get("payment_method")
    if name is None:
        raise StripeProblem(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method.",
            code="payment_intent_unexpected_state",
        )
    method = _method(desk, intent, name)
    confirm(desk, intent, method, off_session=bool(params.get("off_session")))
    if intent["status"] == "requires_action" and params.get("error_on_requires_action"):
        refuse(desk, intent, method, "authentication_required")
    if intent["status"] == "requires_payment_method":
        shown = {key: value for key, value in intent.items() if not key.startswith("_")}
        raise declined(intent["last_payment_error"] | {"payment_intent": shown})
    return intent


def _expect(intent: Doc, states: set[str], verb: str) -> None:
    if intent["status"] not in states:
        raise StripeProblem(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )


def _confirm(desk: Desk, params: Doc, name: str) -> Doc:
    intent = desk.get("payment_intent", name)
    desk.follow(intent)
    _expect(intent, WAITING, "confirm")
    if params.get("payment_method"):
        intent["payment_method"] = _method(desk, intent, params["payment_method"])["id"]
    for key in ("setup_future_usage", "receipt_email"):
        if key in params:
            intent[key] = params[key]
    if params.get("return_url"):
        intent["_return_url"] = params["return_url"]
    return _confirm_now(desk, intent, params)


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    intent = desk.get("payment_intent", name)
    if set(params) - {"metadata", "description", "expand"}:
        _expect(intent, WAITING, "update")
    if "amount" in params:
        enough(params["amount"], intent["currency"])
    fields = {key: value for key, value in params.items() if key not in {"expand", "payment_method"}}
    fields["metadata"] = merged(intent["metadata"], params.get("metadata"))
    if params.get("customer"):
        customers.present(desk, params["customer"])
    if params.get("payment_method"):
        method = _method(desk, intent | fields, params["payment_method"])
        fields |= {"payment_method": method["id"], "status": "requires_confirmation"}
    intent |= fields
    return desk.save(intent)


def _cancel(desk: Desk, params: Doc, name: str) -> Doc:
    intent = desk.get("payment_intent", name)
    desk.follow(intent)
    _expect(intent, WAITING, "cancel")
    return cancel(desk, intent, params.get("cancellation_reason"))


OPERATIONS = [
    Operation(
        "POST",
        "/v1/payment_intents",
        _create,
        EXPAND
        | _PLAIN
        | _CONFIRM
        | {
            "automatic_payment_methods": {"enabled": flag, "allow_redirects": one_of("always", "never")},
            "capture_method": one_of("automatic", "automatic_async"),
            "confirm": flag,
            "mandate_data": {
                "customer_acceptance": {
                    "accepted_at": count,
                    "type": one_of("offline", "online"),
                    "online": {"ip_address": text, "user_agent": text},
                }
            },
        },
    ),
    listed("payment_intent", "/v1/payment_intents", filters={"customer": text}),
    searched("payment_intent", "/v1/payment_intents"),
    retrieve("payment_intent", "/v1/payment_intents"),
    Operation(
        "POST",
        "/v1/payment_intents/{}",
        _update,
        EXPAND
        | _PLAIN
        | {
            "payment_method": text,
            "receipt_email": text,
            "setup_future_usage": _CONFIRM["setup_future_usage"],
        },
    ),
    Operation("POST", "/v1/payment_intents/{}/confirm", _confirm, EXPAND | _CONFIRM),
    Operation(
        "POST",
        "/v1/payment_intents/{}/cancel",
        _cancel,
        EXPAND
        | {"cancellation_reason": one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer")},
    ),
]
