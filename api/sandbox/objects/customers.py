"""Customers: whom Stripe bills."""

from api.sandbox.desk import Desk, fresh
from api.sandbox.listing import listed, searched
from api.sandbox.objects import payment_methods
from api.sandbox.operations import EXPAND, Operation, changed
from api.sandbox.parameters import ADDRESS, SHIPPING, Shape, merged, metadata, text
from api.sandbox.problems import Doc, StripeProblem

_FIELDS: dict[str, Shape] = EXPAND | {
    "address": ADDRESS,
    "description": text,
    "email": text,
    "name": text,
    "phone": text,
    "metadata": metadata,
    "preferred_locales": [text],
    "shipping": SHIPPING,
    "invoice_settings": {"default_payment_method": text, "footer": text},
}
_PLAIN = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping")


def make(desk: Desk, params: Doc) -> Doc:
    """Keep a new customer and report it."""
    settings = params.get("invoice_settings") or {}
    customer = desk.new(
        "customer",
        {
            "address": None,
            "balance": 0,
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "description": None,
            "discount": None,
            "email": None,
            "invoice_prefix": fresh("", 8).strip("_").upper(),
            "invoice_settings": {
                "custom_fields": None,
                "default_payment_method": None,
                "footer": settings.get("footer"),
                "rendering_options": None,
            },
            "metadata": merged({}, params.get("metadata")),
            "name": None,
            "next_invoice_sequence": 1,
            "phone": None,
            "preferred_locales": [],
            "shipping": None,
            "tax_exempt": "none",
            "test_clock": desk.clock or None,
        }
        | {name: params[name] for name in _PLAIN if params.get(name) is not None},
    )
    desk.emit("customer.created", customer)
    return customer


def present(desk: Desk, name: str, param: str = "customer") -> Doc:
    """Return a customer who was not deleted, and work at the time of their test clock."""
    customer = desk.get("customer", name, param)
    desk.follow(customer)
    return customer


def default_method(customer: Doc) -> str | None:
    """Return the id of the payment method that invoices are paid with."""
    name: str | None = customer["invoice_settings"]["default_payment_method"]
    return name


def make_default(desk: Desk, customer: Doc, method: Doc) -> None:
    """Pay this customer's invoices with `method` from now on."""
    settings = customer["invoice_settings"] | {"default_payment_method": method["id"]}
    changed(desk, customer, {"invoice_settings": settings}, "customer.updated")


def _create(desk: Desk, params: Doc) -> Doc:
    if params.get("test_clock"):
        desk.get("test_helpers.test_clock", params["test_clock"], "test_clock")
        desk.follow({"test_clock": params["test_clock"]})
    customer = make(desk, params)
    wanted = (params.get("invoice_settings") or {}).get("default_payment_method")
    first = params.get("payment_method") or wanted
    if first:
        method = payment_methods.chosen(desk, first)
        payment_methods.attach(desk, method, customer)
        if wanted:
            # A test name stands for one card, however often one request says it.
            default = method if wanted == first else payment_methods.chosen(desk, wanted)
            customer["invoice_settings"]["default_payment_method"] = default["id"]
            desk.save(customer)
    return customer


def _retrieve(desk: Desk, _params: Doc, name: str) -> Doc:
    # A deleted customer can still be asked for, and says so.
    found = desk.find(name)
    return found if found and found.get("deleted") else desk.get("customer", name)


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    customer = present(desk, name, "id")
    fields = {name: params[name] for name in _PLAIN if name in params}
    fields["metadata"] = merged(customer["metadata"], params.get("metadata"))
    given = params.get("invoice_settings") or {}
    if given:
        settings = customer["invoice_settings"] | given
        if given.get("default_payment_method"):
            method = payment_methods.chosen(desk, given["default_payment_method"])
            if method["customer"] != name:
                raise StripeProblem(
                    f"The customer does not have a payment method with the ID {method['id']}. The payment method must "
                    "be attached to the customer.",
                    code="resource_missing",
                    param="invoice_settings[default_payment_method]",
                )
            settings["default_payment_method"] = method["id"]
        fields["invoice_settings"] = settings
    return changed(desk, customer, fields, "customer.updated")


def _delete(desk: Desk, _params: Doc, name: str) -> Doc:
    # Imported here because subscriptions need customers.
    from api.sandbox.objects import subscriptions  # noqa: PLC0415 - the circle is Stripe's own

    customer = present(desk, name, "id")
    for subscription in desk.where("subscription", customer=name):
        if subscription["status"] not in subscriptions.ENDED:
            subscriptions.end(desk, subscription, "cancellation_requested")
    for method in desk.where("payment_method", customer=name):
        changed(desk, method, {"customer": None}, "payment_method.detached")
    desk.emit("customer.deleted", customer)
    return desk.save({"id": name, "object": "customer", "deleted": True})


OPERATIONS = [
    Operation("POST", "/v1/customers", _create, _FIELDS | {"payment_method": text, "test_clock": text}),
    listed("customer", "/v1/customers", filters={"email": text, "test_clock": text}),
    searched("customer", "/v1/customers"),
    Operation("GET", "/v1/customers/{}", _retrieve),
    Operation("POST", "/v1/customers/{}", _update, _FIELDS),
    Operation("DELETE", "/v1/customers/{}", _delete),
]
