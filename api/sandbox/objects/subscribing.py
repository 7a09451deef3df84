"""The subscription endpoints: create, change, stop."""

from typing import cast

from api.sandbox.desk import Desk, not_here
from api.sandbox.listing import listed, searched
from api.sandbox.objects import billing, catalogue, customers, invoices, payment_methods, subscriptions
from api.sandbox.objects.cards import declined
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import Shape, count, currency, flag, instant, merged, metadata, need, one_of, text
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.terms import DAY

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
    "trial_settings": {
        "end_behavior": {"missing_payment_method": one_of("cancel", "create_invoice", "pause")}
    },
    "collection_method": one_of("charge_automatically", "send_invoice"),
}


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
    subscription = subscriptions.make(desk, customer, prices, params)
    if not charged:
        changed(desk, subscription, {"status": "active"}, "customer.subscription.updated")
    now = method if behaviour != "default_incomplete" and charged else None
    subscriptions.begin(desk, subscription, now, off_session=bool(params.get("off_session")))
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
    if subscription["status"] in subscriptions.ENDED:
        raise StripeProblem(
            "A canceled subscription can only update its cancellation_details and metadata.",
            code="resource_missing",
        )
    fields: Doc = {"metadata": merged(subscription["metadata"], params.get("metadata"))}
    plain = ("description", "pause_collection", "trial_settings")
    fields |= {key: params[key] for key in plain if key in params}
    fields |= _stopping(desk, subscription, params)
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
    if params.get("trial_end") == "now":
        subscription |= fields
        return _end_trial(desk, subscription)
    if params.get("trial_end"):
        fields |= _put_off(desk, subscription, params)
    return changed(desk, subscription, fields, "customer.subscription.updated")


def _stopping(desk: Desk, subscription: Doc, params: Doc) -> Doc:
    """Return what changes when a subscription is to end, or is to go on after all."""
    fields: Doc = {}
    if params.get("cancel_at_period_end") is not None:
        stop = params["cancel_at_period_end"]
        fields |= {"cancel_at_period_end": stop, "canceled_at": desk.now if stop else None}
        fields["cancel_at"] = billing.period(subscription)[1] if stop else None
        reason = "cancellation_requested" if stop else None
        fields["cancellation_details"] = subscription["cancellation_details"] | {"reason": reason}
    elif "cancel_at" in params:
        fields |= {"cancel_at": params["cancel_at"], "canceled_at": desk.now if params["cancel_at"] else None}
        if params["cancel_at"]:
            desk.later(params["cancel_at"], "subscription.end", subscription["id"])
    return fields


def _end_trial(desk: Desk, subscription: Doc) -> Doc:
    """End a trial at once: its first real period begins, unless there is nothing to pay it with."""
    if subscription["status"] != "trialing":
        raise StripeProblem("Only a trial can end now.", param="trial_end")
    subscription["trial_end"] = desk.now
    start, _ = billing.period(subscription)
    billing.set_period(desk, subscription, start, desk.now)
    desk.save(subscription)
    # What set_period put on the agenda for this moment finds another period then, and does nothing.
    billing.renew(desk, f"{subscription['id']}@{desk.now}")
    return desk.get("subscription", subscription["id"])


def _put_off(desk: Desk, subscription: Doc, params: Doc) -> Doc:
    """Move the next charge to `trial_end`, which is how Stripe moves a billing date without prorating."""
    if params.get("proration_behavior") != "none":
        raise not_here("prorations: pass proration_behavior=none", "proration_behavior")
    end = params["trial_end"]
    if not isinstance(end, int) or not desk.now < end <= desk.now + 730 * DAY:
        raise StripeProblem(
            "`trial_end` must be a timestamp in the future, at most 730 days away.", param="trial_end"
        )
    if subscription["status"] not in {"active", "trialing"}:
        raise StripeProblem("Only a subscription that is paid can be given a trial.", param="trial_end")
    subscription |= {"status": "trialing", "trial_start": desk.now, "trial_end": end}
    billing.set_period(desk, subscription, desk.now, end)
    subscriptions.announce_end_of_trial(desk, subscription)
    # As at Stripe, the free period has an invoice of its own, over nothing.
    invoices.finalize(desk, billing.bill(desk, subscription, "subscription_update", free=True))
    return {"billing_cycle_anchor": end}


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
            item = items.get(given.get("id") or "") or subscriptions.item(desk, subscription, price, given)
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
    if subscription["status"] in subscriptions.ENDED:
        raise StripeProblem(
            f"No such subscription: '{name}'", status=404, code="resource_missing", param="id"
        )
    if params.get("prorate") or params.get("invoice_now"):
        raise not_here("prorations", "prorate")
    return subscriptions.end(desk, subscription, "cancellation_requested", params.get("cancellation_details"))


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
        | {key: shape for key, shape in FIELDS.items() if key != "collection_method"}
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
