"""The invoice endpoints: create, finalize, pay, void; single items; and the payments behind an invoice."""

from api.sandbox.desk import Desk, fresh, public
from api.sandbox.listing import listed, page, searched
from api.sandbox.objects import billing, catalogue, customers, invoices, payment_methods
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import (
    Shape,
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
from api.sandbox.terms import DAY

_FIELDS: dict[str, Shape] = EXPAND | {
    "auto_advance": flag,
    "default_payment_method": text,
    "description": text,
    "footer": text,
    "metadata": metadata,
}


def _draft(desk: Desk, params: Doc) -> Doc:
    need(params, "customer")
    customer = customers.present(desk, params["customer"])
    money = params.get("currency") or customer["currency"] or desk.terms.currency
    waiting = [
        item
        for item in desk.where("invoiceitem", customer=customer["id"])
        if item["invoice"] is None and item["currency"] == money
    ]
    if params.get("pending_invoice_items_behavior") != "include":
        waiting = []
    sending = params.get("collection_method") == "send_invoice"
    fields: Doc = {
        name: params[name] for name in ("description", "footer", "default_payment_method") if name in params
    }
    fields |= {
        "auto_advance": bool(params.get("auto_advance")),
        "collection_method": params.get("collection_method") or "charge_automatically",
        "currency": money,
        "due_date": desk.now + (params.get("days_until_due") or 30) * DAY if sending else None,
        "metadata": merged({}, params.get("metadata")),
    }
    invoice = invoices.make(desk, customer, [_line(item) for item in waiting], fields)
    for item in waiting:
        desk.save(item | {"invoice": invoice["id"]})
    if invoice["auto_advance"]:
        due = desk.instant + desk.terms.finalize_after
        desk.later(due, "invoice.finalize", invoice["id"])
        invoice["automatically_finalizes_at"] = int(due)
        desk.save(invoice)
    return invoice


def _line(item: Doc) -> Doc:
    return {
        "id": fresh("il"),
        "object": "line_item",
        "amount": item["amount"],
        "currency": item["currency"],
        "description": item["description"],
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": dict(item["metadata"]),
        "parent": {
            "invoice_item_details": {
                "invoice_item": item["id"],
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        "period": item["period"],
        "pretax_credit_amounts": [],
        "pricing": item["pricing"],
        "quantity": item["quantity"],
        "subtotal": item["amount"],
        "taxes": [],
    }


def _add_item(desk: Desk, params: Doc) -> Doc:
    need(params, "customer")
    customer = customers.present(desk, params["customer"])
    quantity = 1 if params.get("quantity") is None else params["quantity"]
    named = (params.get("pricing") or {}).get("price")
    if named or params.get("price_data"):
        price = catalogue.price_of(desk, params | {"price": named}, "pricing")
        value, money = (price["unit_amount"] or 0) * quantity, price["currency"]
    else:
        need(params, "amount", "currency")
        value, money = params["amount"], params["currency"]
        data = {
            "currency": money,
            "unit_amount": value,
            "product_data": {"name": params.get("description") or "Item"},
        }
        price = catalogue.make_price(desk, data, active=False)
    item = desk.new(
        "invoiceitem",
        {
            "amount": value,
            "currency": money,
            "customer": customer["id"],
            "date": desk.now,
            "description": params.get("description"),
            "discountable": True,
            "discounts": [],
            "invoice": None,
            "metadata": merged({}, params.get("metadata")),
            "net_amount": value,
            "parent": None,
            "period": {"end": desk.now, "start": desk.now},
            "pricing": {
                "price_details": {"price": price["id"], "product": price["product"]},
                "type": "price_details",
                "unit_amount_decimal": price["unit_amount_decimal"],
            },
            "proration": False,
            "quantity": quantity,
            "quantity_decimal": str(quantity),
            "tax_rates": [],
            "test_clock": desk.clock or None,
        },
    )
    item.pop("created")
    desk.save(item)
    desk.emit("invoiceitem.created", item)
    if params.get("invoice"):
        _put_on(desk, item, params["invoice"])
    return item


def _put_on(desk: Desk, item: Doc, name: str) -> None:
    invoice = desk.get("invoice", name, "invoice")
    if invoice["status"] != "draft" or invoice["customer"] != item["customer"]:
        raise StripeProblem(
            "This invoice is no longer editable.", code="invoice_not_editable", param="invoice"
        )
    line = _line(item) | {"invoice": name}
    lines = invoice["lines"]["data"] + [line]
    total = sum(one["amount"] for one in lines)
    fields = dict.fromkeys(("amount_due", "amount_remaining", "subtotal", "total"), total)
    fields |= dict.fromkeys(("subtotal_excluding_tax", "total_excluding_tax"), total)
    desk.save(item | {"invoice": name})
    item["invoice"] = name
    new = {"lines": invoice["lines"] | {"data": lines}}
    changed(desk, invoice, fields | new, "invoice.updated")


def _delete_item(desk: Desk, _params: Doc, name: str) -> Doc:
    item = desk.get("invoiceitem", name)
    if item["invoice"]:
        raise StripeProblem("This invoice item is part of an invoice.", code="invoice_not_editable")
    desk.emit("invoiceitem.deleted", item)
    return desk.save({"id": name, "object": "invoiceitem", "deleted": True})


def _open(desk: Desk, name: str) -> Doc:
    invoice = desk.get("invoice", name)
    desk.follow(invoice)
    return invoice


def _finalize(desk: Desk, params: Doc, name: str) -> Doc:
    invoice = _open(desk, name)
    if params.get("auto_advance") is not None:
        invoice["auto_advance"] = params["auto_advance"]
    return invoices.finalize(desk, invoice)


def _pay(desk: Desk, params: Doc, name: str) -> Doc:
    return invoices.pay_by_request(desk, _open(desk, name), params)


def _void(desk: Desk, _params: Doc, name: str) -> Doc:
    return invoices.void(desk, _open(desk, name))


def _write_off(desk: Desk, _params: Doc, name: str) -> Doc:
    invoice = _open(desk, name)
    if invoice["status"] != "open":
        raise StripeProblem(
            "You can only mark an open invoice as uncollectible.", code="invoice_not_editable"
        )
    transitions = invoice["status_transitions"] | {"marked_uncollectible_at": desk.now}
    fields = {"status": "uncollectible", "auto_advance": False, "next_payment_attempt": None}
    return changed(
        desk, invoice, fields | {"status_transitions": transitions}, "invoice.marked_uncollectible"
    )


def _send(desk: Desk, _params: Doc, name: str) -> Doc:
    invoice = _open(desk, name)
    if invoice["status"] == "draft":
        invoices.finalize(desk, invoice)
    desk.emit("invoice.sent", invoice)
    return invoice


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    invoice = _open(desk, name)
    if invoice["status"] != "draft" and set(params) - {
        "metadata",
        "auto_advance",
        "expand",
        "default_payment_method",
    }:
        raise StripeProblem("This invoice is no longer editable.", code="invoice_not_editable")
    if params.get("default_payment_method"):
        method = payment_methods.chosen(desk, params["default_payment_method"], "default_payment_method")
        params["default_payment_method"] = method["id"]
    return changed(desk, invoice, invoices.with_metadata(invoice, params), "invoice.updated")


def _delete(desk: Desk, _params: Doc, name: str) -> Doc:
    invoice = _open(desk, name)
    if invoice["status"] != "draft" or invoice["parent"]:
        raise StripeProblem(
            "You can only delete draft invoices that are not of a subscription.", code="invoice_not_editable"
        )
    desk.emit("invoice.deleted", invoice)
    return desk.save({"id": name, "object": "invoice", "deleted": True})


def _lines(desk: Desk, _params: Doc, name: str) -> Doc:
    lines: Doc = desk.get("invoice", name)["lines"]
    return lines


def _payments(desk: Desk, params: Doc) -> Doc:
    wanted = (params.get("payment") or {}).get("payment_intent")
    conditions = {"invoice": params.get("invoice"), "_intent": wanted, "status": params.get("status")}
    found = desk.where("invoice_payment", **{key: value for key, value in conditions.items() if value})
    limit = params.get("limit") or 10
    newest = [public(payment) for payment in reversed(found)]
    return page(newest[:limit], "/v1/invoice_payments", more=len(newest) > limit)


def _preview(desk: Desk, params: Doc) -> Doc:
    need(params, "subscription")
    subscription = desk.get("subscription", params["subscription"], "subscription")
    if subscription["status"] not in billing.LIVING or subscription["cancel_at_period_end"]:
        raise StripeProblem(
            "No upcoming invoices for this subscription.", code="invoice_upcoming_none", status=404
        )
    return billing.preview(desk, subscription)


OPERATIONS = [
    Operation(
        "POST",
        "/v1/invoices",
        _draft,
        _FIELDS
        | {
            "collection_method": one_of("charge_automatically", "send_invoice"),
            "currency": currency,
            "customer": text,
            "days_until_due": count,
            "pending_invoice_items_behavior": one_of("exclude", "include"),
        },
    ),
    listed(
        "invoice",
        "/v1/invoices",
        filters={"customer": text, "status": text, "subscription": text, "collection_method": text},
        columns={"subscription": "parent.subscription_details.subscription"},
    ),
    searched("invoice", "/v1/invoices"),
    Operation("POST", "/v1/invoices/create_preview", _preview, EXPAND | {"subscription": text}),
    retrieve("invoice", "/v1/invoices"),
    Operation("POST", "/v1/invoices/{}", _update, _FIELDS),
    Operation("DELETE", "/v1/invoices/{}", _delete),
    Operation("GET", "/v1/invoices/{}/lines", _lines, {"limit": count}),
    Operation("POST", "/v1/invoices/{}/finalize", _finalize, EXPAND | {"auto_advance": flag}),
    Operation(
        "POST",
        "/v1/invoices/{}/pay",
        _pay,
        EXPAND | {"off_session": flag, "paid_out_of_band": flag, "payment_method": text},
    ),
    Operation("POST", "/v1/invoices/{}/send", _send, EXPAND),
    Operation("POST", "/v1/invoices/{}/void", _void, EXPAND),
    Operation("POST", "/v1/invoices/{}/mark_uncollectible", _write_off, EXPAND),
    Operation(
        "POST",
        "/v1/invoiceitems",
        _add_item,
        EXPAND
        | {
            "amount": amount,
            "currency": currency,
            "customer": text,
            "description": text,
            "invoice": text,
            "metadata": metadata,
            "pricing": {"price": text},
            "price_data": catalogue.ITEM_DATA,
            "quantity": count,
        },
    ),
    listed("invoiceitem", "/v1/invoiceitems", filters={"customer": text, "invoice": text}),
    retrieve("invoiceitem", "/v1/invoiceitems"),
    Operation("DELETE", "/v1/invoiceitems/{}", _delete_item),
    Operation(
        "GET",
        "/v1/invoice_payments",
        _payments,
        {
            "invoice": text,
            "limit": count,
            "status": one_of("canceled", "open", "paid"),
            "payment": {"type": one_of("payment_intent"), "payment_intent": text},
        },
    ),
    retrieve("invoice_payment", "/v1/invoice_payments"),
]
