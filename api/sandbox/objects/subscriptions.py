"""Subscriptions: an amount that recurs until someone stops it."""

from typing import cast

from api.sandbox.desk import Desk, fresh, not_here, nothing
from api.sandbox.listing import listed, page, searched
from api.sandbox.objects import billing, catalogue, customers, invoices, payment_methods
from api.sandbox.objects.cards import declined
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import Shape, count, currency, flag, instant, merged, metadata, need, one_of, text
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.terms import DAY

ENDED = {"canceled", "incomplete_expired"}
_ITEM: dict[str, Shape] = {
    "price": text,
    "price_data": catalogue.RECURRING_DATA,
    "quantity": count,
    "metadata": metadata,
}
_DETAILS: dict[str, Shape] = {
    "comment": text,
    "feedback": one_of(
        "customer_service",
        "low_quality",
        "missing_features",
        "other",
        "switched_service",
        "too_complex",
        "too_expensive",
        "unused",
    ),
}
_PRORATION = one_of("none", "create_prorations", "always_invoice")
FIELDS: dict[str, Shape] = {
    "cancel_at": instant,
    "cancel_at_period_end": flag,
    "default_payment_method": text,
    "description": text,
    "items": [_ITEM],
    "metadata": metadata,
    "off_session": flag,
    "payment_behavior": one_of("allow_incomplete", "default_incomplete", "error_if_incomplete"),
    "payment_settings": {"save_default_payment_method": one_of("off", "on_subscription")},
    "proration_behavior": _PRORATION,
    "trial_end": instant,
    "collection_method": one_of("charge_automatically", "send_invoice"),
}


def make(desk: Desk, customer: Doc, prices: list[tuple[Doc, Doc]], params: Doc) -> Doc:
    """Keep a subscription of `customer` to these (price, item) pairs, not yet paid, and report it."""
    if not prices:
        raise StripeProblem("Missing required param: items.", code="parameter_missing", param="items")
    first = prices[0][0]
    for number, (price, _) in enumerate(prices):
        if price["type"] != "recurring":
            raise StripeProblem(
                f"The price specified is set to `type=one_time` but this field only accepts prices with "
                f"`type=recurring`: {price['id']}",
                param=f"items[{number}][price]",
            )
        if (price["currency"], price["recurring"]) != (first["currency"], first["recurring"]):
            raise StripeProblem(
                "All items of a subscription need one currency and one interval.", param="items"
            )
    days = params.get("trial_period_days")
    trial = desk.now + days * DAY if days else cast(int | None, params.get("trial_end"))
    trial = None if not isinstance(trial, int) or trial <= desk.now else trial
    product = desk.get("product", first["product"])
    subscription = desk.new(
        "subscription",
        {
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": trial or desk.now,
            "billing_mode": {"flexible": None, "type": "classic"},
            "billing_schedules": [],
            "cancel_at": params.get("cancel_at"),
            "cancel_at_period_end": bool(params.get("cancel_at_period_end")),
            "cancellation_details": nothing("comment", "feedback", "reason"),
            "collection_method": params.get("collection_method") or "charge_automatically",
            "currency": first["currency"],
            "customer": customer["id"],
            "default_payment_method": params.get("default_payment_method"),
            "default_tax_rates": [],
            "description": params.get("description"),
            "discounts": [],
            "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
            "metadata": merged({}, params.get("metadata")),
            "payment_settings": {
                "payment_method_options": None,
                "payment_method_types": None,
                "save_default_payment_method": (params.get("payment_settings") or {}).get(
                    "save_default_payment_method"
                )
                or "off",
            },
            "start_date": desk.now,
            "status": "trialing" if trial else "incomplete",
            "test_clock": desk.clock or None,
            "trial_end": trial,
            "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
            "trial_start": desk.now if trial else None,
            "_title": product["name"],
        }
        | nothing(
            "application",
            "application_fee_percent",
            "billing_cycle_anchor_config",
            "billing_thresholds",
            "canceled_at",
            "days_until_due",
            "default_source",
            "ended_at",
            "latest_invoice",
            "next_pending_invoice_item_invoice",
            "on_behalf_of",
            "pause_collection",
            "pending_invoice_item_interval",
            "pending_setup_intent",
            "pending_update",
            "schedule",
            "transfer_data",
        ),
    )
    items = [_item(desk, subscription, price, given) for price, given in prices]
    subscription["items"] = page(items, f"/v1/subscription_items?subscription={subscription['id']}")
    billing.set_period(desk, subscription, desk.now, trial or billing.step(desk.now, first["recurring"], 1))
    if subscription["cancel_at"]:
        desk.later(subscription["cancel_at"], "subscription.end", subscription["id"])
    desk.save(subscription)
    desk.emit("customer.subscription.created", subscription)
    return subscription


def _item(desk: Desk, subscription: Doc, price: Doc, given: Doc) -> Doc:
    return {
        "id": fresh("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": desk.now,
        "current_period_end": 0,
        "current_period_start": 0,
        "discounts": [],
        "metadata": merged({}, given.get("metadata")),
        "price": {key: value for key, value in price.items() if not key.startswith("_")},
        "quantity": 1 if given.get("quantity") is None else given["quantity"],
        "subscription": subscription["id"],
        "tax_rates": [],
    }


def begin(
    desk: Desk,
    subscription: Doc,
    method: Doc | None,
    *,
    off_session: bool,
    confirmed: bool = False,
    session: str | None = None,
) -> Doc:
    """Bill the first period and, with a method, pay it. Returns the invoice."""
    trial = subscription["status"] == "trialing"
    invoice = billing.bill(
        desk, subscription, "subscription_create", free=trial, **({"_session": session} if session else {})
    )
    invoices.finalize(desk, invoice)
    if invoice["status"] == "open":
        desk.later(desk.instant + billing.INCOMPLETE_FOR, "subscription.expire", subscription["id"])
        if method is not None:
            invoices.pay(desk, invoice, method, off_session=off_session, confirmed=confirmed)
    return invoice


def end(desk: Desk, subscription: Doc, reason: str, details: Doc | None = None) -> Doc:
    """Cancel a subscription at once; its unpaid invoices are collected no more."""
    before = dict(subscription)
    subscription |= {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or desk.now,
        "ended_at": desk.now,
        "cancellation_details": subscription["cancellation_details"] | (details or {}) | {"reason": reason},
    }
    desk.save(subscription)
    invoice = desk.find(subscription["latest_invoice"])
    if invoice is not None and invoice["status"] in {"draft", "open"}:
        desk.save(invoice | {"auto_advance": False, "next_payment_attempt": None})
    desk.emit("customer.subscription.deleted", subscription, before)
    return subscription


def end_when_due(desk: Desk, name: str) -> None:
    """End a subscription whose `cancel_at` has come."""
    subscription = desk.find(name)
    if subscription and subscription["status"] not in ENDED and subscription["cancel_at"] == desk.now:
        end(desk, subscription, "cancellation_requested")


def _create(desk: Desk, params: Doc) -> Doc:
    need(params, "customer", "items")
    customer = customers.present(desk, params["customer"])
    if params.get("currency"):
        customer["currency"] = customer["currency"] or params["currency"]
    prices = [
        (catalogue.price_of(desk, item, f"items[{number}]"), item)
        for number, item in enumerate(params["items"])
    ]
    wanted = params.get("default_payment_method")
    if wanted:
        method: Doc | None = payment_methods.chosen(desk, wanted, "default_payment_method")
        payment_methods.attach(desk, cast(Doc, method), customer)
        params["default_payment_method"] = cast(Doc, method)["id"]
    else:
        method = desk.find(customers.default_method(customer))
    behaviour = params.get("payment_behavior") or "allow_incomplete"
    total = sum(
        (price["unit_amount"] or 0) * (1 if item.get("quantity") is None else item["quantity"])
        for price, item in prices
    )
    free = total == 0 or bool(params.get("trial_period_days") or params.get("trial_end"))
    charged = params.get("collection_method") != "send_invoice"
    if method is None and charged and not free and behaviour != "default_incomplete":
        raise StripeProblem(
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method.",
            code="resource_missing",
        )
    subscription = make(desk, customer, prices, params)
    if not charged:
        changed(desk, subscription, {"status": "active"}, "customer.subscription.updated")
    now = method if behaviour != "default_incomplete" and charged else None
    begin(desk, subscription, now, off_session=bool(params.get("off_session")))
    subscription = desk.get("subscription", subscription["id"])
    if subscription["status"] == "incomplete" and behaviour == "error_if_incomplete":
        intent = invoices.intent_of(desk, desk.get("invoice", subscription["latest_invoice"]))
        refusal = declined(
            (intent or {}).get("last_payment_error")
            or {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
        )
        refusal.keep = False
        raise refusal
    return subscription


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    subscription = desk.get("subscription", name)
    desk.follow(subscription)
    if subscription["status"] in ENDED:
        raise StripeProblem(
            "A canceled subscription can only update its cancellation_details and metadata.",
            code="resource_missing",
        )
    fields: Doc = {"metadata": merged(subscription["metadata"], params.get("metadata"))}
    fields |= {key: params[key] for key in ("description", "pause_collection") if key in params}
    if params.get("cancel_at_period_end") is not None:
        stop = params["cancel_at_period_end"]
        fields |= {"cancel_at_period_end": stop, "canceled_at": desk.now if stop else None}
        fields["cancel_at"] = billing.period(subscription)[1] if stop else None
        reason = "cancellation_requested" if stop else None
        fields["cancellation_details"] = subscription["cancellation_details"] | {"reason": reason}
    elif "cancel_at" in params:
        fields |= {"cancel_at": params["cancel_at"], "canceled_at": desk.now if params["cancel_at"] else None}
        if params["cancel_at"]:
            desk.later(params["cancel_at"], "subscription.end", name)
    if params.get("cancellation_details"):
        details = fields.get("cancellation_details") or subscription["cancellation_details"]
        fields["cancellation_details"] = details | params["cancellation_details"]
    if params.get("default_payment_method"):
        method = payment_methods.chosen(desk, params["default_payment_method"], "default_payment_method")
        payment_methods.attach(desk, method, customers.present(desk, subscription["customer"]))
        fields["default_payment_method"] = method["id"]
    if params.get("payment_settings"):
        fields["payment_settings"] = subscription["payment_settings"] | params["payment_settings"]
    if params.get("items"):
        fields["items"] = _changed_items(desk, subscription, params)
    return changed(desk, subscription, fields, "customer.subscription.updated")


def _changed_items(desk: Desk, subscription: Doc, params: Doc) -> Doc:
    if params.get("proration_behavior") != "none":
        raise not_here("prorations: pass proration_behavior=none", "proration_behavior")
    items = {item["id"]: dict(item) for item in subscription["items"]["data"]}
    start, last = billing.period(subscription)
    for number, given in enumerate(params["items"]):
        where = f"items[{number}]"
        if given.get("id") and given["id"] not in items:
            raise StripeProblem(
                f"No such subscription item: '{given['id']}'", code="resource_missing", param=f"{where}[id]"
            )
        if given.get("deleted"):
            items.pop(given.get("id") or "", None)
            continue
        if given.get("price") or given.get("price_data"):
            price = catalogue.price_of(desk, given, where)
            old = subscription["items"]["data"][0]["price"]
            if price["currency"] != subscription["currency"] or price["recurring"] != old["recurring"]:
                raise not_here("a change of currency or interval", f"{where}[price]")
            item = items.get(given.get("id") or "") or _item(desk, subscription, price, given)
            item |= {"price": {key: value for key, value in price.items() if not key.startswith("_")}}
            item |= {"current_period_start": start, "current_period_end": last}
            items[item["id"]] = item
        else:
            item = items[given["id"]] if given.get("id") else {}
        if given.get("quantity") is not None:
            item["quantity"] = given["quantity"]
        if given.get("metadata") is not None:
            item["metadata"] = merged(item.get("metadata") or {}, given["metadata"])
    if not items:
        raise StripeProblem("A subscription must have at least one item.", param="items")
    new: Doc = subscription["items"] | {"data": list(items.values())}
    return new


def _cancel(desk: Desk, params: Doc, name: str) -> Doc:
    subscription = desk.get("subscription", name)
    desk.follow(subscription)
    if subscription["status"] in ENDED:
        raise StripeProblem(
            f"No such subscription: '{name}'", status=404, code="resource_missing", param="id"
        )
    if params.get("prorate") or params.get("invoice_now"):
        raise not_here("prorations", "prorate")
    return end(desk, subscription, "cancellation_requested", params.get("cancellation_details"))


OPERATIONS = [
    Operation(
        "POST",
        "/v1/subscriptions",
        _create,
        EXPAND | FIELDS | {"customer": text, "currency": currency, "trial_period_days": count},
    ),
    listed(
        "subscription",
        "/v1/subscriptions",
        filters={"customer": text, "status": text, "test_clock": text, "collection_method": text},
    ),
    searched("subscription", "/v1/subscriptions"),
    retrieve("subscription", "/v1/subscriptions"),
    Operation(
        "POST",
        "/v1/subscriptions/{}",
        _update,
        EXPAND
        | {key: shape for key, shape in FIELDS.items() if key not in {"collection_method", "trial_end"}}
        | {
            "items": [_ITEM | {"id": text, "deleted": flag}],
            "cancellation_details": _DETAILS,
            "pause_collection": {
                "behavior": one_of("keep_as_draft", "mark_uncollectible", "void"),
                "resumes_at": count,
            },
        },
    ),
    Operation(
        "DELETE",
        "/v1/subscriptions/{}",
        _cancel,
        EXPAND | {"cancellation_details": _DETAILS, "invoice_now": flag, "prorate": flag},
    ),
]
