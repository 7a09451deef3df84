"""Disputes: a cardholder asks the bank for the money back; it is withdrawn until one side has won."""

from api.sandbox.desk import Desk
from api.sandbox.listing import listed
from api.sandbox.objects import balance
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import Shape, flag, merged, metadata, text
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.terms import DAY

_EVIDENCE = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
]
OPEN = {"needs_response", "under_review"}


def open_against(desk: Desk, charge: Doc, reason: str = "fraudulent") -> Doc:
    """Open a dispute about what remains of a charge, and withdraw the money."""
    remaining = charge["amount"] - charge["amount_refunded"]
    if charge["disputed"] or not charge["paid"] or remaining <= 0:
        raise StripeProblem("Only a paid charge with something left can be disputed, and only once.")
    dispute = desk.new(
        "dispute",
        {
            "amount": remaining,
            "balance_transactions": [],
            "charge": charge["id"],
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": dict.fromkeys(_EVIDENCE) | {"enhanced_evidence": {}},
            "evidence_details": {
                "due_by": desk.now + 9 * DAY,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            "is_charge_refundable": False,
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            **_details(charge),
            "reason": reason,
            "status": "needs_response",
        },
    )
    desk.save(charge | {"disputed": True})
    desk.emit("charge.dispute.created", dispute)
    entry = balance.book(
        desk,
        "adjustment",
        dispute,
        -remaining,
        fee=desk.terms.dispute_fee,
        category="dispute",
        at_once=True,
        description=f"Chargeback withdrawal for {charge['id']}",
    )
    dispute["balance_transactions"] = [entry]
    desk.save(_plain(dispute))
    desk.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _details(charge: Doc) -> Doc:
    card = charge["payment_method_details"].get("card")
    if card is None:
        return {}
    shown = {"brand": card["brand"], "case_type": "chargeback", "network_reason_code": "83"}
    return {"payment_method_details": {"card": shown, "type": "card"}}


def close(desk: Desk, dispute: Doc, *, won: bool) -> Doc:
    """End a dispute; the money comes back when it was won, the fee does not."""
    if dispute["status"] not in OPEN:
        raise StripeProblem("This dispute is already closed.", code="dispute_already_closed")
    dispute["status"] = "won" if won else "lost"
    if won:
        entry = balance.book(
            desk,
            "adjustment",
            dispute,
            dispute["amount"],
            category="dispute_reversal",
            at_once=True,
            description=f"Chargeback reversal for {dispute['charge']}",
        )
        dispute["balance_transactions"] = [*dispute["balance_transactions"], entry]
    desk.save(_plain(dispute))
    desk.emit("charge.dispute.closed", dispute)
    if won:
        desk.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


def _plain(dispute: Doc) -> Doc:
    """Return a dispute as it is kept: embedded transactions without the sandbox's notes."""
    dispute["balance_transactions"] = [
        {key: value for key, value in entry.items() if not key.startswith("_")}
        for entry in dispute["balance_transactions"]
    ]
    return dispute


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    dispute = desk.get("dispute", name)
    given = params.get("evidence") or {}
    if given and dispute["status"] not in OPEN:
        raise StripeProblem("This dispute is already closed.", code="dispute_already_closed")
    details = dict(dispute["evidence_details"])
    fields: Doc = {"metadata": merged(dispute["metadata"], params.get("metadata"))}
    if given:
        fields["evidence"] = dispute["evidence"] | given
        details["has_evidence"] = True
    submitted = bool(given) and params.get("submit") is not False
    if submitted:
        details["submission_count"] += 1
        fields["status"] = "under_review"
    fields["evidence_details"] = details
    changed(desk, dispute, fields, "charge.dispute.updated")
    if submitted and dispute["evidence"]["uncategorized_text"] in {"winning_evidence", "losing_evidence"}:
        close(desk, dispute, won=dispute["evidence"]["uncategorized_text"] == "winning_evidence")
    return dispute


def _close(desk: Desk, _params: Doc, name: str) -> Doc:
    return close(desk, desk.get("dispute", name), won=False)


_EVIDENCE_SHAPE: dict[str, Shape] = dict.fromkeys(_EVIDENCE, text)
OPERATIONS = [
    listed("dispute", "/v1/disputes", filters={"charge": text, "payment_intent": text}),
    retrieve("dispute", "/v1/disputes"),
    Operation(
        "POST",
        "/v1/disputes/{}",
        _update,
        EXPAND | {"metadata": metadata, "evidence": _EVIDENCE_SHAPE, "submit": flag},
    ),
    Operation("POST", "/v1/disputes/{}/close", _close, EXPAND),
]
