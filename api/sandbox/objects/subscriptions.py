"""Subscriptions: an amount that recurs until someone stops it."""

from typing import cast

from api.sandbox.desk import Desk, fresh, nothing
from api.sandbox.listing import page
from api.sandbox.objects import billing, invoices
from api.sandbox.parameters import merged
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.terms import DAY

ENDED = {"canceled", "incomplete_expired"}
TRIAL_NOTICE = 3 * DAY


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
            "trial_settings": params.get("trial_settings")
            or {"end_behavior": {"missing_payment_method": "create_invoice"}},
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
    items = [item(desk, subscription, price, given) for price, given in prices]
    subscription["items"] = page(items, f"/v1/subscription_items?subscription={subscription['id']}")
    billing.set_period(desk, subscription, desk.now, trial or billing.step(desk.now, first["recurring"], 1))
    if subscription["cancel_at"]:
        desk.later(subscription["cancel_at"], "subscription.end", subscription["id"])
    if trial:
        announce_end_of_trial(desk, subscription)
    desk.save(subscription)
    desk.emit("customer.subscription.created", subscription)
    return subscription


def item(desk: Desk, subscription: Doc, price: Doc, given: Doc) -> Doc:
    """Return a new item of a subscription."""
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


def announce_end_of_trial(desk: Desk, subscription: Doc) -> None:
    """Plan what Stripe tells three days before a trial ends, or at once if it is shorter."""
    at = max(desk.instant, subscription["trial_end"] - TRIAL_NOTICE)
    desk.later(at, "subscription.trial_will_end", subscription["id"])


def trial_will_end(desk: Desk, name: str) -> None:
    """Tell that a trial ends soon, if it still does."""
    subscription = desk.find(name)
    if (
        subscription
        and subscription["status"] == "trialing"
        and subscription["trial_end"] - TRIAL_NOTICE <= desk.now
    ):
        desk.emit("customer.subscription.trial_will_end", subscription)


def end_when_due(desk: Desk, name: str) -> None:
    """End a subscription whose `cancel_at` has come."""
    subscription = desk.find(name)
    if subscription and subscription["status"] not in ENDED and subscription["cancel_at"] == desk.now:
        end(desk, subscription, "cancellation_requested")
