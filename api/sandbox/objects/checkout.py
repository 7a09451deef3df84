"""Checkout sessions: what a person is asked to pay, subscribe to or leave a card for."""

from api.sandbox.desk import Desk, fresh, not_here, nothing
from api.sandbox.listing import listed, page
from api.sandbox.objects import catalogue, customers, setups
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import (
    Shape,
    address,
    count,
    currency,
    flag,
    merged,
    metadata,
    need,
    one_of,
    text,
)
from api.sandbox.problems import Doc, StripeProblem, missing
from api.sandbox.rules import enough
from api.sandbox.terms import DAY

_SHORTEST, _LONGEST = 1800, DAY
_ITEM: dict[str, Shape] = {
    "price": text,
    "price_data": catalogue.PRICE_DATA,
    "quantity": count,
    "metadata": metadata,
}
_CREATE: dict[str, Shape] = EXPAND | {
    "mode": one_of("payment", "setup", "subscription"),
    "line_items": [_ITEM],
    "success_url": address,
    "cancel_url": address,
    "client_reference_id": text,
    "customer": text,
    "customer_creation": one_of("always", "if_required"),
    "customer_email": text,
    "currency": currency,
    "expires_at": count,
    "locale": text,
    "metadata": metadata,
    # Left to Stripe's settings by the cooperative, so that naming cards, as it must not, is refused.
    "payment_method_types": [one_of("sepa_debit")],
    "payment_method_collection": one_of("always", "if_required"),
    "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
    "ui_mode": one_of("hosted_page"),
    "custom_text": {"submit": {"message": text}, "after_submit": {"message": text}},
    "billing_address_collection": one_of("auto"),
    "allow_promotion_codes": flag,
    "payment_intent_data": {
        "description": text,
        "metadata": metadata,
        "receipt_email": text,
        "setup_future_usage": one_of("off_session", "on_session"),
        "statement_descriptor": text,
        "statement_descriptor_suffix": text,
        "transfer_group": text,
        "shipping": {
            "name": text,
            "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), text),
        },
    },
    "setup_intent_data": {"description": text, "metadata": metadata},
    "subscription_data": {
        "description": text,
        "metadata": metadata,
        "trial_end": count,
        "trial_period_days": count,
    },
}
_MODE_OF = {
    "payment_intent_data": "payment",
    "setup_intent_data": "setup",
    "subscription_data": "subscription",
}


def _create(desk: Desk, params: Doc) -> Doc:
    need(params, "mode")
    mode = params["mode"]
    need(params, "success_url")
    for name, wanted in _MODE_OF.items():
        if params.get(name) and mode != wanted:
            raise StripeProblem(f"You can not pass `{name}` in `{mode}` mode.", param=name)
    if params.get("customer") and params.get("customer_email"):
        raise StripeProblem(
            "You may only specify one of these parameters: customer, customer_email.", param="customer_email"
        )
    if params.get("customer_creation") and mode == "subscription":
        raise StripeProblem(
            "You can not pass `customer_creation` in `subscription` mode.", param="customer_creation"
        )
    customer = customers.present(desk, params["customer"]) if params.get("customer") else None
    expires = params.get("expires_at") or desk.now + _LONGEST
    if not _SHORTEST <= expires - desk.now <= _LONGEST:
        raise StripeProblem(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
            param="expires_at",
        )
    items = _items(desk, params) if mode != "setup" else []
    total = sum(item["amount_total"] for item in items)
    if mode == "payment":
        enough(total, items[0]["currency"], "line_items")
    creation = params.get("customer_creation") or ("if_required" if mode == "payment" else None)
    session = desk.new(
        "checkout.session",
        _fields(params)
        | {
            "amount_subtotal": total if items else None,
            "amount_total": total if items else None,
            "currency": items[0]["currency"] if items else params.get("currency"),
            "customer": customer["id"] if customer else None,
            "customer_creation": None if customer else creation,
            "expires_at": expires,
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0} if items else None,
            "_items": items,
            "_data": params.get("payment_intent_data") or params.get("subscription_data") or {},
        },
    )
    session["url"] = f"{desk.url}/pay/{session['id']}"
    if mode == "setup":
        data = params.get("setup_intent_data") or {}
        intent = setups.make(
            desk,
            {
                "customer": session["customer"],
                "description": data.get("description"),
                "metadata": merged({}, data.get("metadata")),
                "_session": session["id"],
            },
        )
        session["setup_intent"] = intent["id"]
    desk.later(expires, "checkout.expire", session["id"])
    return desk.save(session)


def _fields(params: Doc) -> Doc:
    mode = params["mode"]
    email = params.get("customer_email")
    return {
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "collected_information": None,
        "custom_fields": [],
        "custom_text": nothing("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        | (params.get("custom_text") or {}),
        "customer_details": {"email": email, "tax_exempt": "none", "tax_ids": None}
        | nothing("address", "business_name", "individual_name", "name", "phone")
        if email
        else None,
        "customer_email": email,
        "discounts": [],
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {"metadata": {}}
            | nothing(
                "account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options"
            ),
        }
        if mode == "payment"
        else None,
        "locale": params.get("locale"),
        "metadata": merged({}, params.get("metadata")),
        "mode": mode,
        "origin_context": None,
        "payment_method_collection": params.get("payment_method_collection")
        or ("if_required" if mode == "payment" else "always"),
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": params.get("payment_method_types") or ["card"],
        "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "saved_payment_method_options": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "success_url": params["success_url"],
        "ui_mode": "hosted_page",
    } | nothing(
        "client_secret",
        "consent",
        "consent_collection",
        "currency_conversion",
        "invoice",
        "payment_intent",
        "payment_link",
        "payment_method_configuration_details",
        "recovered_from",
        "setup_intent",
        "shipping_address_collection",
        "shipping_cost",
        "subscription",
        "wallet_options",
    )


def _items(desk: Desk, params: Doc) -> list[Doc]:
    need(params, "line_items")
    if not params["line_items"]:
        raise missing("line_items")
    mode, made = params["mode"], []
    for number, given in enumerate(params["line_items"]):
        where = f"line_items[{number}]"
        price = catalogue.price_of(desk, given, where)
        if price["type"] == "recurring" and mode == "payment":
            raise StripeProblem(
                "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only "
                "one-time prices.",
                param=where,
            )
        if price["custom_unit_amount"] is not None:
            raise not_here("prices where the customer chooses; give the chosen amount inline", where)
        quantity = given.get("quantity")
        if not quantity:
            raise missing(f"{where}[quantity]")
        value = price["unit_amount"] * quantity
        product = desk.get("product", price["product"])
        made.append(
            {
                "id": fresh("li"),
                "object": "item",
                "adjustable_quantity": None,
                "amount_discount": 0,
                "amount_subtotal": value,
                "amount_tax": 0,
                "amount_total": value,
                "currency": price["currency"],
                "description": product["name"],
                "metadata": merged({}, given.get("metadata")),
                "price": {key: shown for key, shown in price.items() if not key.startswith("_")},
                "quantity": quantity,
            }
        )
    if len({item["currency"] for item in made}) > 1:
        raise StripeProblem("All line items must use the same currency.", param="line_items")
    if mode == "subscription" and not any(item["price"]["recurring"] for item in made):
        raise StripeProblem(
            "You must provide at least one recurring price in `subscription` mode when using prices.",
            param="mode",
        )
    if mode == "subscription" and not all(item["price"]["recurring"] for item in made):
        raise not_here("one-time prices beside recurring ones", "line_items")
    return made


def line_items(_desk: Desk, session: Doc) -> Doc:
    """Return the list of a session's line items."""
    return page(session["_items"], f"/v1/checkout/sessions/{session['id']}/line_items")


def expire(desk: Desk, session: Doc) -> Doc:
    """Close a session that nobody completed."""
    if session["status"] != "open":
        raise StripeProblem(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"`{session['status']}`.",
            code="checkout_session_not_open",
        )
    # Imported here because completing needs sessions.
    from api.sandbox.objects import completion  # noqa: PLC0415 - the circle is Stripe's own

    completion.abandon_intents(desk, session)
    return changed(desk, session, {"status": "expired", "url": None}, "checkout.session.expired")


def expire_when_due(desk: Desk, name: str) -> None:
    """Expire a session whose time is over."""
    session = desk.find(name)
    if session is not None and session["status"] == "open":
        expire(desk, session)


def _expire(desk: Desk, _params: Doc, name: str) -> Doc:
    session = desk.get("checkout.session", name)
    desk.follow(session)
    return expire(desk, session)


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    session = desk.get("checkout.session", name)
    session["metadata"] = merged(session["metadata"], params.get("metadata"))
    return desk.save(session)


def _line_items(desk: Desk, _params: Doc, name: str) -> Doc:
    return line_items(desk, desk.get("checkout.session", name))


OPERATIONS = [
    Operation("POST", "/v1/checkout/sessions", _create, _CREATE),
    listed(
        "checkout.session",
        "/v1/checkout/sessions",
        filters={
            "customer": text,
            "payment_intent": text,
            "status": one_of("complete", "expired", "open"),
            "subscription": text,
        },
    ),
    retrieve("checkout.session", "/v1/checkout/sessions"),
    Operation("POST", "/v1/checkout/sessions/{}", _update, EXPAND | {"metadata": metadata}),
    Operation("GET", "/v1/checkout/sessions/{}/line_items", _line_items, {"limit": count}),
    Operation("POST", "/v1/checkout/sessions/{}/expire", _expire, EXPAND),
]
