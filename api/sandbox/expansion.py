"""`expand[]`: ids replaced by the objects that they name, as deep as four levels."""

from collections.abc import Callable

from api.sandbox.desk import Desk, public
from api.sandbox.listing import page
from api.sandbox.objects import checkout, invoices
from api.sandbox.problems import Doc, StripeProblem

DEEPEST = 4


def _refunds(desk: Desk, charge: Doc) -> Doc:
    found = [public(refund) for refund in reversed(desk.where("refund", charge=charge["id"]))]
    return page(found[:10], f"/v1/charges/{charge['id']}/refunds", more=len(found) > 10)  # noqa: PLR2004 - a page is ten


def _payments(desk: Desk, invoice: Doc) -> Doc:
    return page([public(payment) for payment in invoices.payments_of(desk, invoice)], "/v1/invoice_payments")


def _subscriptions(desk: Desk, customer: Doc) -> Doc:
    found = [
        public(one)
        for one in reversed(desk.where("subscription", customer=customer["id"]))
        if one["status"] not in {"canceled", "incomplete_expired"}
    ]
    return page(found, f"/v1/customers/{customer['id']}/subscriptions")


INCLUDED: dict[tuple[str, str], Callable[[Desk, Doc], Doc]] = {
    ("charge", "refunds"): _refunds,
    ("checkout.session", "line_items"): checkout.line_items,
    ("customer", "subscriptions"): _subscriptions,
    ("invoice", "payments"): _payments,
}
"""What is not part of an object until someone asks for it."""


def expand(desk: Desk, answer: Doc, paths: list[str]) -> Doc:
    """Return the public form of an answer with these paths expanded."""
    shown = _shown(answer)
    for path in paths:
        steps = path.split(".")
        if len(steps) > DEEPEST + (steps[0] == "data"):
            raise StripeProblem(
                f"You cannot expand more than {DEEPEST} levels of a property.", param="expand"
            )
        _expand(desk, shown, steps, path)
    return shown


def _shown(value: Doc) -> Doc:
    shown = public(value)
    if shown.get("object") in {"list", "search_result"}:
        shown["data"] = [public(item) for item in shown["data"]]
    return shown


def _expand(desk: Desk, here: Doc, steps: list[str], path: str) -> None:
    step, rest = steps[0], steps[1:]
    included = INCLUDED.get((here.get("object", ""), step))
    if included is not None and step not in here:
        whole = desk.find(here["id"])
        here[step] = included(desk, whole or here)
    if step not in here:
        raise StripeProblem(
            f"This property cannot be expanded ({path}).", param="expand", code="property_not_expandable"
        )
    value = here[step]
    if isinstance(value, str):
        found = desk.find(value)
        if found is None or step in {"id", "object", "url"}:
            raise StripeProblem(f"This property cannot be expanded ({step}).", param="expand")
        here[step] = value = public(found)
    if not rest or value is None:
        return
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            _expand(desk, item, rest, path)
