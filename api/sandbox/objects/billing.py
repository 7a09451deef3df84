"""What time does to subscriptions: renewals, retries, lapses; and what payments do to them."""

from datetime import UTC, datetime, timedelta

from api.sandbox.desk import Desk, fresh
from api.sandbox.objects import customers, invoices
from api.sandbox.operations import changed
from api.sandbox.problems import Doc
from api.sandbox.terms import DAY, HOUR

LIVING = {"active", "past_due", "trialing"}
INCOMPLETE_FOR = 23 * HOUR


def step(anchor: int, recurring: Doc, times: int) -> int:
    """Return the end of the `times`-th period after `anchor`, clipped to the month's last day, never chained."""
    begin = datetime.fromtimestamp(anchor, UTC)
    many = recurring["interval_count"] * times
    if recurring["interval"] in {"day", "week"}:
        days = many * (7 if recurring["interval"] == "week" else 1)
        return int((begin + timedelta(days=days)).timestamp())
    months = many * (12 if recurring["interval"] == "year" else 1)
    year, month = divmod(begin.year * 12 + begin.month - 1 + months, 12)
    day = begin.day
    while True:
        try:
            return int(begin.replace(year=year, month=month + 1, day=day).timestamp())
        except ValueError:
            day -= 1


def following(subscription: Doc, after: int) -> int:
    """Return the first period end later than `after`, counted from the billing cycle anchor."""
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    times = 1
    while (end := step(subscription["billing_cycle_anchor"], recurring, times)) <= after:
        times += 1
    return end


def period(subscription: Doc) -> tuple[int, int]:
    """Return the current period's first and last instant."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def set_period(desk: Desk, subscription: Doc, start: int, end: int) -> None:
    """Move a subscription to a period and put its reminders and its renewal on the agenda."""
    for item in subscription["items"]["data"]:
        item |= {"current_period_start": start, "current_period_end": end}
    reminder = end - desk.terms.upcoming_days * DAY
    if reminder > desk.instant:
        desk.later(reminder, "subscription.remind", f"{subscription['id']}@{end}")
    desk.later(end, "subscription.renew", f"{subscription['id']}@{end}")


def lines(subscription: Doc, *, free: bool = False) -> list[Doc]:
    """Return the invoice lines of a subscription's current period."""
    made = []
    start, end = period(subscription)
    for item in subscription["items"]["data"]:
        value = 0 if free else (item["price"]["unit_amount"] or 0) * item["quantity"]
        made.append(
            {
                "id": fresh("il"),
                "object": "line_item",
                "amount": value,
                "currency": subscription["currency"],
                "description": f"{item['quantity']} x {subscription.get('_title') or 'Subscription'}",
                "discount_amounts": [],
                "discountable": True,
                "discounts": [],
                "invoice": None,
                "livemode": False,
                "metadata": dict(subscription["metadata"]),
                "parent": {
                    "invoice_item_details": None,
                    "subscription_item_details": {
                        "invoice_item": None,
                        "proration": False,
                        "proration_details": {"credited_items": None},
                        "subscription": subscription["id"],
                        "subscription_item": item["id"],
                    },
                    "type": "subscription_item_details",
                },
                "period": {"end": end, "start": start},
                "pretax_credit_amounts": [],
                "pricing": {
                    "price_details": {"price": item["price"]["id"], "product": item["price"]["product"]},
                    "type": "price_details",
                    "unit_amount_decimal": item["price"]["unit_amount_decimal"],
                },
                "quantity": item["quantity"],
                "subtotal": value,
                "taxes": [],
            }
        )
    return made


def bill(desk: Desk, subscription: Doc, reason: str, *, free: bool = False, **fields: object) -> Doc:
    """Draft the invoice of a subscription's current period and make it the latest."""
    customer = customers.present(desk, subscription["customer"])
    start, _ = period(subscription)
    spans = {
        "billing_reason": reason,
        "period_start": start if reason == "subscription_create" else subscription.get("_last_start", start),
        "period_end": start,
    }
    found = lines(subscription, free=free)
    invoice = invoices.make(desk, customer, found, _billed(subscription) | spans | fields)
    subscription["latest_invoice"] = invoice["id"]
    desk.save(subscription)
    return invoice


def _current(desk: Desk, ref: str) -> Doc | None:
    """Return the subscription of an agenda entry, unless its period has changed since."""
    name, _, end = ref.partition("@")
    subscription = desk.find(name)
    if subscription is None or subscription["status"] not in LIVING or period(subscription)[1] != int(end):
        return None
    return subscription


def remind(desk: Desk, ref: str) -> None:
    """Announce the next invoice as `invoice.upcoming`, an invoice that has no id yet."""
    subscription = _current(desk, ref)
    if subscription is None or subscription["cancel_at_period_end"] or subscription["cancel_at"]:
        return
    desk.emit("invoice.upcoming", preview(desk, subscription))


def preview(desk: Desk, subscription: Doc) -> Doc:
    """Return what the next invoice will be; nothing of it is kept."""
    start, end = period(subscription)
    coming = dict(subscription)
    coming["items"] = subscription["items"] | {
        "data": [
            item | {"current_period_start": end, "current_period_end": following(subscription, end)}
            for item in subscription["items"]["data"]
        ]
    }
    fields = _billed(subscription) | {
        "billing_reason": "upcoming",
        "next_payment_attempt": int(end + desk.terms.finalize_after),
        "period_start": start,
        "period_end": end,
    }
    customer = customers.present(desk, subscription["customer"])
    found = lines(coming)
    invoice: Doc = {"id": fresh("upcoming_in"), "object": "invoice", "created": end, "livemode": False}
    invoice |= invoices.drafted(desk, customer, found, fields)
    invoices.hold(invoice, found)
    return invoice


def _billed(subscription: Doc) -> Doc:
    """Return what every invoice of a subscription says of it."""
    return {
        "collection_method": subscription["collection_method"],
        "currency": subscription["currency"],
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": dict(subscription["metadata"]),
                "subscription": subscription["id"],
            },
            "type": "subscription_details",
        },
    }


def renew(desk: Desk, ref: str) -> None:
    """Begin the next period with a draft invoice, or end the subscription if that was asked."""
    from api.sandbox.objects import subscriptions  # noqa: PLC0415 - ending is a verb of subscriptions

    subscription = _current(desk, ref)
    if subscription is None:
        return
    if subscription["cancel_at_period_end"]:
        subscriptions.end(desk, subscription, "cancellation_requested")
        return
    before = {
        **subscription,
        "items": {**subscription["items"], "data": [dict(i) for i in subscription["items"]["data"]]},
    }
    start, end = period(subscription)
    subscription["_last_start"] = start
    if subscription["status"] == "trialing" and _without_card(desk, subscription, before):
        return
    if subscription["status"] == "trialing":
        subscription["billing_cycle_anchor"] = end
        subscription["status"] = "active"
    set_period(desk, subscription, end, following(subscription, end))
    paused = subscription["pause_collection"]
    invoice = bill(
        desk,
        subscription,
        "subscription_cycle",
        auto_advance=paused is None,
        automatically_finalizes_at=None if paused else int(desk.instant + desk.terms.finalize_after),
    )
    desk.emit("customer.subscription.updated", subscription, before)
    if paused is None:
        desk.later(desk.instant + desk.terms.finalize_after, "invoice.finalize", invoice["id"])
    elif paused["behavior"] == "void":
        invoices.finalize(desk, invoice)
        if invoice["status"] == "open":
            invoices.void(desk, invoice)


def _without_card(desk: Desk, subscription: Doc, before: Doc) -> bool:
    """Do what was asked for a trial that ends with nothing to charge; false if it is to be billed all the same."""
    from api.sandbox.objects import subscriptions  # noqa: PLC0415 - ending is a verb of subscriptions

    customer = customers.present(desk, subscription["customer"])
    asked = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if asked == "create_invoice" or any(
        desk.find(name)
        for name in (subscription["default_payment_method"], customers.default_method(customer))
    ):
        return False
    if asked == "cancel":
        subscriptions.end(desk, subscription, "cancellation_requested")
    else:
        subscription["status"] = "paused"
        desk.save(subscription)
        desk.emit("customer.subscription.paused", subscription, before)
    return True


def finalize(desk: Desk, name: str) -> None:
    """Finalize a draft whose hour has come, and try to collect it."""
    invoice = desk.find(name)
    if (
        invoice is None
        or invoice.get("deleted")
        or invoice["status"] != "draft"
        or not invoice["auto_advance"]
    ):
        return
    invoices.finalize(desk, invoice)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        invoices.pay(desk, invoice, invoices.method_for(desk, invoice), off_session=True)


def retry(desk: Desk, name: str) -> None:
    """Try again to collect an open invoice."""
    invoice = desk.find(name)
    if invoice is None or invoice["status"] != "open" or invoice["next_payment_attempt"] != desk.now:
        return
    invoices.pay(desk, invoice, invoices.method_for(desk, invoice), off_session=True)


def plan_retry(desk: Desk, invoice: Doc) -> None:
    """Say when the next attempt comes, if one does."""
    done = invoice["attempt_count"]
    planned = invoice["billing_reason"] == "subscription_cycle" and invoice["auto_advance"]
    if planned and done <= len(desk.terms.retry_days):
        due = desk.now + desk.terms.retry_days[done - 1] * DAY
        invoice["next_payment_attempt"] = due
        desk.later(due, "invoice.retry", invoice["id"])
    else:
        invoice["next_payment_attempt"] = None
    desk.save(invoice)


def unpaid(desk: Desk, invoice: Doc) -> None:
    """Tell a renewing subscription that its invoice failed: past due, and in the end canceled."""
    from api.sandbox.objects import subscriptions  # noqa: PLC0415 - ending is a verb of subscriptions

    subscription = invoices.subscription_of(desk, invoice)
    if subscription is None or invoice["billing_reason"] != "subscription_cycle":
        return
    if subscription["status"] == "active":
        changed(desk, subscription, {"status": "past_due"}, "customer.subscription.updated")
    if (
        invoice["next_payment_attempt"] is None
        and invoice["auto_advance"]
        and subscription["status"] in LIVING
    ):
        subscriptions.end(desk, subscription, "payment_failed")


def paid(desk: Desk, invoice: Doc) -> None:
    """Tell a subscription that its invoice was paid."""
    subscription = invoices.subscription_of(desk, invoice)
    if subscription is None:
        return
    intent = invoices.intent_of(desk, invoice)
    if intent is not None and intent["payment_method"] and subscription["default_payment_method"] is None:
        settings = subscription["payment_settings"] or {}
        if settings.get("save_default_payment_method") == "on_subscription":
            subscription["default_payment_method"] = intent["payment_method"]
            desk.save(subscription)
    if (
        subscription["status"] in {"incomplete", "past_due"}
        and subscription["latest_invoice"] == invoice["id"]
    ):
        changed(desk, subscription, {"status": "active"}, "customer.subscription.updated")


def expire(desk: Desk, name: str) -> None:
    """Give up a subscription whose first invoice was not paid in time."""
    subscription = desk.find(name)
    if subscription is None or subscription["status"] != "incomplete":
        return
    invoice = desk.find(subscription["latest_invoice"])
    if invoice is not None and invoice["status"] == "open":
        invoices.void(desk, invoice)
    fields = {"status": "incomplete_expired", "ended_at": desk.now}
    changed(desk, subscription, fields, "customer.subscription.updated")


def resume_intent(desk: Desk, intent: Doc) -> None:
    """Carry the outcome of a confirmed intent over to its invoice."""
    invoice = desk.find(intent.get("_invoice"))
    if invoice is None or invoice["status"] not in {"open", "uncollectible"}:
        return
    if intent["status"] == "succeeded":
        invoices.settle(desk, invoice, intent)
