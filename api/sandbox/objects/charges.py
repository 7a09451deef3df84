"""Charges: each attempt on a card, and the balance transaction that follows a success."""

from api.sandbox.desk import Desk, nothing
from api.sandbox.listing import listed, page, searched
from api.sandbox.objects import balance, disputes
from api.sandbox.objects.cards import numbered
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import merged, metadata, text
from api.sandbox.problems import Doc


def record(desk: Desk, intent: Doc, method: Doc, error: Doc | None, *, pending: bool = False) -> Doc:
    """Keep the outcome of an attempt and report it; of a bank debit the outcome is still to come."""
    paid = error is None and not pending
    charge = desk.new(
        "charge",
        {
            "amount": intent["amount"],
            "amount_captured": intent["amount"] if paid else 0,
            "amount_refunded": 0,
            "balance_transaction": None,
            "billing_details": method["billing_details"],
            "calculated_statement_descriptor": "SANDBOX",
            "captured": paid,
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_code": error["code"] if error else None,
            "failure_message": error["message"] if error else None,
            "fraud_details": {},
            "metadata": dict(intent["metadata"]),
            "outcome": _outcome(error),
            "paid": paid,
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": _details(method, intent["amount"] if paid else None),
            "receipt_email": intent["receipt_email"],
            "refunded": False,
            "statement_descriptor": intent["statement_descriptor"],
            "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
            "status": "pending" if pending else "succeeded" if paid else "failed",
            "transfer_group": intent["transfer_group"],
            "_card": method["_card"],
        }
        | nothing(
            "application",
            "application_fee",
            "application_fee_amount",
            "failure_balance_transaction",
            "on_behalf_of",
            "receipt_number",
            "receipt_url",
            "review",
            "shipping",
            "source_transfer",
            "transfer_data",
        ),
    )
    desk.emit(f"charge.{charge['status']}", charge)
    if paid:
        follow_up(desk, charge)
    return charge


def follow_up(desk: Desk, charge: Doc) -> None:
    """Plan what comes after a success: the booking and, for some cards, a dispute."""
    # The bank keeps its own time: on a test clock the booking follows at once.
    delay = 0 if desk.clock else desk.terms.balance_delay
    desk.later(desk.instant + delay, "charge.book", charge["id"])
    known = numbered(charge["_card"])
    if known is not None and known.behaviour == "disputed":
        desk.later(desk.instant + desk.terms.dispute_delay, "charge.dispute", charge["id"])


def _outcome(error: Doc | None) -> Doc:
    said = "The bank did not return any further details with this decline." if error else "Payment complete."
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if error else "approved_by_network",
        "reason": error.get("decline_code") if error else None,
        "risk_level": "normal",
        "risk_score": 1,
        "seller_message": said,
        "type": "issuer_declined" if error else "authorized",
    }


def _details(method: Doc, authorized: int | None) -> Doc:
    """Return what a charge remembers of the payment method that it was made with."""
    kind = method["type"]
    known = method[kind]
    if kind == "us_bank_account":
        bank = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number")
        return {kind: {name: known[name] for name in bank} | {"payment_reference": None}, "type": kind}
    if kind == "sepa_debit":
        account = ("bank_code", "branch_code", "country", "fingerprint", "last4")
        return {kind: {name: known[name] for name in account} | {"mandate": None}, "type": kind}
    kept = (
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "wallet",
    )
    more = {"amount_authorized": authorized, "network": known["brand"], "three_d_secure": None}
    return {kind: {name: known[name] for name in kept} | more, "type": kind}


def book(desk: Desk, name: str) -> Doc:
    """Give a paid charge its balance transaction, once, and report it as `charge.updated`."""
    charge = desk.get("charge", name)
    if charge["balance_transaction"] is not None:
        return charge
    known = numbered(charge["_card"])
    entry = balance.book(
        desk,
        "charge",
        charge,
        charge["amount"],
        fee=desk.terms.fee(charge["amount"]),
        at_once=known is not None and known.behaviour == "at_once",
        description=charge["description"],
    )
    return changed(desk, charge, {"balance_transaction": entry["id"]}, "charge.updated")


def dispute(desk: Desk, name: str) -> None:
    """Let the holder of a disputing card dispute the charge, unless it was given back before."""
    charge = book(desk, name)
    known = numbered(charge["_card"])
    if not charge["disputed"] and charge["amount_refunded"] < charge["amount"]:
        disputes.open_against(desk, charge, known.reason if known else "general")


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    charge = desk.get("charge", name)
    fields: Doc = {"metadata": merged(charge["metadata"], params.get("metadata"))}
    fields |= {
        key: params[key] for key in ("description", "transfer_group", "receipt_email") if key in params
    }
    return changed(desk, charge, fields, "charge.updated")


def _refunds(desk: Desk, _params: Doc, name: str) -> Doc:
    desk.get("charge", name)
    return page(list(reversed(desk.where("refund", charge=name))), f"/v1/charges/{name}/refunds")


OPERATIONS = [
    listed(
        "charge",
        "/v1/charges",
        filters={"customer": text, "payment_intent": text, "transfer_group": text},
    ),
    searched("charge", "/v1/charges"),
    retrieve("charge", "/v1/charges"),
    Operation(
        "POST",
        "/v1/charges/{}",
        _update,
        EXPAND | {"metadata": metadata, "description": text, "transfer_group": text, "receipt_email": text},
    ),
    Operation("GET", "/v1/charges/{}/refunds", _refunds),
]
