"""Invoices: what is owed, from draft to paid or void."""

from api.sandbox.desk import Desk, nothing
from api.sandbox.objects import customers, payment_methods, payments
from api.sandbox.operations import changed
from api.sandbox.parameters import merged
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.terms import DAY


def drafted(desk: Desk, customer: Doc, lines: list[Doc], fields: Doc) -> Doc:
    """Return what a draft invoice of these lines is made of."""
    total = sum(line["amount"] for line in lines)
    return (
        {
            "account_country": desk.terms.country,
            "account_name": "Sandbox",
            "amount_due": total,
            "amount_overpaid": 0,
            "amount_paid": 0,
            "amount_paid_off_stripe": 0,
            "amount_remaining": total,
            "amount_shipping": 0,
            "attempt_count": 0,
            "attempted": False,
            "auto_advance": True,
            "automatic_tax": {
                "disabled_reason": None,
                "enabled": False,
                "liability": None,
                "provider": None,
                "status": None,
            },
            "billing_reason": "manual",
            "collection_method": "charge_automatically",
            "currency": desk.terms.currency,
            "customer": customer["id"],
            "customer_address": customer["address"],
            "customer_email": customer["email"],
            "customer_name": customer["name"],
            "customer_phone": customer["phone"],
            "customer_shipping": customer["shipping"],
            "customer_tax_exempt": "none",
            "customer_tax_ids": [],
            "default_tax_rates": [],
            "discounts": [],
            "issuer": {"type": "self"},
            "metadata": {},
            "payment_settings": nothing("default_mandate", "payment_method_options", "payment_method_types"),
            "period_end": desk.now,
            "period_start": desk.now,
            "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0,
            "starting_balance": 0,
            "status": "draft",
            "status_transitions": nothing("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at"),
            "subtotal": total,
            "subtotal_excluding_tax": total,
            "test_clock": desk.clock or None,
            "total": total,
            "total_discount_amounts": [],
            "total_excluding_tax": total,
            "total_pretax_credit_amounts": [],
            "total_taxes": [],
        }
        | nothing(
            "account_tax_ids",
            "application",
            "automatically_finalizes_at",
            "custom_fields",
            "default_payment_method",
            "default_source",
            "description",
            "due_date",
            "effective_at",
            "ending_balance",
            "footer",
            "from_invoice",
            "hosted_invoice_url",
            "invoice_pdf",
            "last_finalization_error",
            "latest_revision",
            "next_payment_attempt",
            "number",
            "on_behalf_of",
            "parent",
            "receipt_number",
            "rendering",
            "shipping_cost",
            "shipping_details",
            "statement_descriptor",
            "webhooks_delivered_at",
        )
        | fields
    )


def make(desk: Desk, customer: Doc, lines: list[Doc], fields: Doc) -> Doc:
    """Keep a draft invoice and report it."""
    invoice = desk.new("invoice", drafted(desk, customer, lines, fields))
    hold(invoice, lines)
    desk.save(invoice)
    desk.emit("invoice.created", invoice)
    return invoice


def hold(invoice: Doc, lines: list[Doc]) -> None:
    """Put lines on an invoice."""
    for line in lines:
        line["invoice"] = invoice["id"]
    url = f"/v1/invoices/{invoice['id']}/lines"
    invoice["lines"] = {"object": "list", "data": lines, "has_more": False, "url": url}


def payments_of(desk: Desk, invoice: Doc) -> list[Doc]:
    """Return the invoice payments that stand behind an invoice."""
    return desk.where("invoice_payment", invoice=invoice["id"])


def finalize(desk: Desk, invoice: Doc) -> Doc:
    """Make a draft definite: number it, and ask for its payment by an intent."""
    if invoice["status"] != "draft":
        raise StripeProblem(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    customer = customers.present(desk, invoice["customer"])
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04}"
    customer["next_invoice_sequence"] += 1
    customer["currency"] = customer["currency"] or invoice["currency"]
    desk.save(customer)
    before = dict(invoice)
    invoice |= {
        "status": "open",
        "number": number,
        "effective_at": desk.now,
        "automatically_finalizes_at": None,
        "ending_balance": 0,
        "hosted_invoice_url": f"{desk.url}/invoice/{invoice['id']}",
        "invoice_pdf": f"{desk.url}/invoice/{invoice['id']}",
        "status_transitions": invoice["status_transitions"] | {"finalized_at": desk.now},
    }
    if invoice["collection_method"] == "send_invoice" and invoice["due_date"] is None:
        invoice["due_date"] = desk.now + 30 * DAY
    desk.save(invoice)
    desk.emit("invoice.finalized", invoice, before)
    if invoice["amount_due"] == 0:
        _mark_paid(desk, invoice)
        return invoice
    intent = payments.make(
        desk,
        {
            "amount": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": customer["id"],
            "description": invoice["description"] or _purpose(invoice),
            "payment_details": {"customer_reference": None, "order_reference": invoice["id"]},
            "setup_future_usage": "off_session" if invoice["parent"] else None,
            "_invoice": invoice["id"],
            "_session": invoice.get("_session"),
        },
    )
    desk.new(
        "invoice_payment",
        {
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": nothing("canceled_at", "paid_at"),
            "_intent": intent["id"],
        },
    )
    return invoice


def _purpose(invoice: Doc) -> str:
    names = {
        "subscription_create": "Subscription creation",
        "subscription_cycle": "Subscription update",
    }
    return names.get(invoice["billing_reason"], "Payment for Invoice")


def intent_of(desk: Desk, invoice: Doc) -> Doc | None:
    """Return the payment intent of an invoice's default payment."""
    for payment in payments_of(desk, invoice):
        return desk.get("payment_intent", payment["_intent"])
    return None


def method_for(desk: Desk, invoice: Doc) -> Doc | None:
    """Return the payment method with which an invoice is paid by itself."""
    subscription = subscription_of(desk, invoice)
    customer = customers.present(desk, invoice["customer"])
    for name in (
        invoice["default_payment_method"],
        subscription["default_payment_method"] if subscription else None,
        customers.default_method(customer),
    ):
        method = desk.find(name)
        if method is not None and method["customer"] in {None, customer["id"]}:
            return method
    return None


def subscription_of(desk: Desk, invoice: Doc) -> Doc | None:
    """Return the subscription that an invoice belongs to, if any."""
    parent = invoice["parent"]
    return desk.find(parent["subscription_details"]["subscription"]) if parent else None


def pay(desk: Desk, invoice: Doc, method: Doc | None, *, off_session: bool, confirmed: bool = False) -> Doc:
    """Attempt to pay an open invoice; afterwards it is paid, or still open with a failed attempt."""
    from api.sandbox.objects import billing  # noqa: PLC0415 - paying an invoice moves its subscription

    intent = intent_of(desk, invoice)
    if intent is None:
        raise StripeProblem("This invoice has nothing to pay.", code="invoice_payment_intent_requires_action")
    if method is not None:
        payments.confirm(desk, intent, method, off_session=off_session, confirmed=confirmed)
    invoice |= {"attempt_count": invoice["attempt_count"] + 1, "attempted": True}
    if intent["status"] == "succeeded":
        settle(desk, invoice, intent)
        return invoice
    desk.save(invoice)
    billing.plan_retry(desk, invoice)
    desk.emit("invoice.payment_failed", invoice)
    if intent["status"] == "requires_action" or (
        intent["last_payment_error"] and intent["last_payment_error"]["code"] == "authentication_required"
    ):
        desk.emit("invoice.payment_action_required", invoice)
    billing.unpaid(desk, invoice)
    return invoice


def settle(desk: Desk, invoice: Doc, intent: Doc) -> None:
    """Mark an invoice paid by its succeeded intent."""
    for payment in payments_of(desk, invoice):
        payment |= {
            "status": "paid",
            "amount_paid": intent["amount"],
            "status_transitions": {"canceled_at": None, "paid_at": desk.now},
        }
        desk.save(payment)
        desk.emit("invoice_payment.paid", payment)
    _mark_paid(desk, invoice)


def _mark_paid(desk: Desk, invoice: Doc, *, outside: bool = False) -> None:
    from api.sandbox.objects import billing  # noqa: PLC0415 - paying an invoice moves its subscription

    invoice |= {
        "status": "paid",
        "amount_paid": 0 if outside else invoice["amount_due"],
        "amount_paid_off_stripe": invoice["amount_due"] if outside else 0,
        "amount_remaining": 0,
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status_transitions": invoice["status_transitions"] | {"paid_at": desk.now},
    }
    desk.save(invoice)
    desk.emit("invoice.paid", invoice)
    desk.emit("invoice.payment_succeeded", invoice)
    billing.paid(desk, invoice)


def pay_by_request(desk: Desk, invoice: Doc, params: Doc) -> Doc:
    """Pay an invoice because someone asked, refusing as Stripe does when the card is declined."""
    from api.sandbox.objects.cards import declined  # noqa: PLC0415 - only this verb refuses

    if invoice["status"] == "draft":
        finalize(desk, invoice)
    if invoice["status"] == "paid":
        raise StripeProblem("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] not in {"open", "uncollectible"}:
        raise StripeProblem("You can only pay an open invoice.", code="invoice_not_editable")
    intent = intent_of(desk, invoice)
    if params.get("paid_out_of_band"):
        if intent is not None and intent["status"] in payments.WAITING:
            payments.cancel(desk, intent, None)
        _mark_paid(desk, invoice, outside=True)
        return invoice
    wanted = params.get("payment_method")
    method = payment_methods.chosen(desk, wanted) if wanted else method_for(desk, invoice)
    if method is None:
        raise StripeProblem(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set one, or pay with a "
            "`payment_method`.",
            code="invoice_payment_intent_requires_action",
        )
    pay(desk, invoice, method, off_session=params.get("off_session") is not False)
    if invoice["status"] != "paid":
        attempted = intent_of(desk, invoice)
        error = attempted["last_payment_error"] if attempted else None
        raise declined(
            error or {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
        )
    return invoice


def void(desk: Desk, invoice: Doc) -> Doc:
    """Cancel an open invoice for good."""
    if invoice["status"] not in {"open", "uncollectible"}:
        raise StripeProblem(
            f"You can only pass in open or uncollectible invoices. This invoice is {invoice['status']}.",
            code="invoice_not_editable",
        )
    intent = intent_of(desk, invoice)
    if intent is not None and intent["status"] in payments.WAITING:
        payments.cancel(desk, intent, "void_invoice")
    for payment in payments_of(desk, invoice):
        desk.save(
            payment | {"status": "canceled", "status_transitions": {"canceled_at": desk.now, "paid_at": None}}
        )
    return changed(
        desk,
        invoice,
        {
            "status": "void",
            "amount_remaining": invoice["amount_due"],
            "auto_advance": False,
            "next_payment_attempt": None,
            "status_transitions": invoice["status_transitions"] | {"voided_at": desk.now},
        },
        "invoice.voided",
    )


def with_metadata(invoice: Doc, params: Doc) -> Doc:
    """Return the fields of an update that an invoice may take."""
    plain = ("description", "footer", "auto_advance", "default_payment_method")
    fields = {name: params[name] for name in plain if name in params}
    return fields | {"metadata": merged(invoice["metadata"], params.get("metadata"))}
