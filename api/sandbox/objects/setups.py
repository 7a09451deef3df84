"""Setup intents: a card is kept for later and nothing is charged."""

from api.sandbox.desk import Desk, fresh, nothing
from api.sandbox.listing import listed
from api.sandbox.objects import customers, payment_methods
from api.sandbox.objects.cards import decline, declined, numbered
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import Shape, address, flag, merged, metadata, one_of, text
from api.sandbox.problems import Doc, StripeProblem

_WAITING = {"requires_payment_method", "requires_confirmation", "requires_action"}
_FIELDS: dict[str, Shape] = EXPAND | {
    "customer": text,
    "description": text,
    "metadata": metadata,
    "payment_method": text,
    "payment_method_types": [one_of("card")],
}


def make(desk: Desk, fields: Doc) -> Doc:
    """Keep a new setup intent and report it."""
    intent = desk.new(
        "setup_intent",
        {
            "metadata": {},
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
            "usage": "off_session",
        }
        | nothing(
            "application",
            "automatic_payment_methods",
            "cancellation_reason",
            "client_secret",
            "customer",
            "description",
            "flow_directions",
            "last_setup_error",
            "latest_attempt",
            "mandate",
            "next_action",
            "on_behalf_of",
            "payment_method",
            "payment_method_options",
            "single_use_mandate",
        )
        | fields,
    )
    intent["client_secret"] = f"{intent['id']}_secret_{fresh('', 16).strip('_')}"
    desk.save(intent)
    desk.emit("setup_intent.created", intent)
    return intent


def confirm(desk: Desk, intent: Doc, method: Doc, *, confirmed: bool = False) -> Doc:
    """Try to keep `method`: succeeded, asks for confirmation, or wants another card."""
    card = numbered(method["_card"])
    intent["payment_method"] = method["id"]
    if card is None or card.behaviour == "declines":
        return refuse(desk, intent, card.reason if card else "generic_decline")
    if card.asks and not confirmed:
        return changed(
            desk,
            intent,
            {
                "status": "requires_action",
                "next_action": {
                    "redirect_to_url": {
                        "return_url": intent.get("_return_url"),
                        "url": f"{desk.url}/authenticate/{intent['id']}",
                    },
                    "type": "redirect_to_url",
                },
            },
            "setup_intent.requires_action",
        )
    desk.save(method | {"_confirmed": True})
    changed(
        desk,
        intent,
        {"status": "succeeded", "next_action": None, "last_setup_error": None},
        "setup_intent.succeeded",
    )
    if intent["customer"]:
        kept = desk.get("payment_method", method["id"])
        payment_methods.attach(desk, kept, customers.present(desk, intent["customer"]))
    return intent


def refuse(desk: Desk, intent: Doc, reason: str) -> Doc:
    """Record that a card could not be kept."""
    error = decline(reason)
    if reason == "authentication_failure":
        error["code"] = "setup_intent_authentication_failure"
    return changed(
        desk,
        intent,
        {
            "status": "requires_payment_method",
            "payment_method": None,
            "next_action": None,
            "last_setup_error": error,
        },
        "setup_intent.setup_failed",
    )


def _create(desk: Desk, params: Doc) -> Doc:
    if params.get("customer"):
        customers.present(desk, params["customer"])
    fields = {name: params[name] for name in ("customer", "description", "usage") if params.get(name)}
    fields["metadata"] = merged({}, params.get("metadata"))
    intent = make(desk, fields | {"_return_url": params.get("return_url")})
    if params.get("payment_method"):
        method = payment_methods.chosen(desk, params["payment_method"])
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
        desk.save(intent)
    return _confirm_now(desk, intent) if params.get("confirm") else intent


def _confirm_now(desk: Desk, intent: Doc) -> Doc:
    if intent["payment_method"] is None:
        raise StripeProblem(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            code="setup_intent_unexpected_state",
        )
    confirm(desk, intent, payment_methods.chosen(desk, intent["payment_method"]))
    if intent["last_setup_error"]:
        raise declined(intent["last_setup_error"])
    return intent


def _expect(intent: Doc, verb: str) -> None:
    if intent["status"] not in _WAITING:
        raise StripeProblem(
            f"You cannot {verb} this SetupIntent because it has a status of {intent['status']}.",
            code="setup_intent_unexpected_state",
        )


def _confirm(desk: Desk, params: Doc, name: str) -> Doc:
    intent = desk.get("setup_intent", name)
    _expect(intent, "confirm")
    if params.get("payment_method"):
        intent["payment_method"] = payment_methods.chosen(desk, params["payment_method"])["id"]
    if params.get("return_url"):
        intent["_return_url"] = params["return_url"]
    return _confirm_now(desk, intent)


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    intent = desk.get("setup_intent", name)
    _expect(intent, "update")
    fields = {key: value for key, value in params.items() if key != "expand"}
    fields["metadata"] = merged(intent["metadata"], params.get("metadata"))
    if params.get("customer"):
        customers.present(desk, params["customer"])
    if params.get("payment_method"):
        fields["payment_method"] = payment_methods.chosen(desk, params["payment_method"])["id"]
        fields["status"] = "requires_confirmation"
    intent |= fields
    return desk.save(intent)


def _cancel(desk: Desk, params: Doc, name: str) -> Doc:
    intent = desk.get("setup_intent", name)
    _expect(intent, "cancel")
    fields = {"status": "canceled", "cancellation_reason": params.get("cancellation_reason")}
    return changed(desk, intent, fields | {"next_action": None}, "setup_intent.canceled")


OPERATIONS = [
    Operation(
        "POST",
        "/v1/setup_intents",
        _create,
        _FIELDS
        | {
            "automatic_payment_methods": {"enabled": flag, "allow_redirects": one_of("always", "never")},
            "confirm": flag,
            "return_url": address,
            "usage": one_of("off_session", "on_session"),
        },
    ),
    listed("setup_intent", "/v1/setup_intents", filters={"customer": text, "payment_method": text}),
    retrieve("setup_intent", "/v1/setup_intents"),
    Operation("POST", "/v1/setup_intents/{}", _update, _FIELDS),
    Operation(
        "POST",
        "/v1/setup_intents/{}/confirm",
        _confirm,
        EXPAND | {"payment_method": text, "return_url": address},
    ),
    Operation(
        "POST",
        "/v1/setup_intents/{}/cancel",
        _cancel,
        EXPAND | {"cancellation_reason": one_of("abandoned", "duplicate", "requested_by_customer")},
    ),
]
