"""Refunds, whole or in parts, never above the charge."""

from api.sandbox.desk import Desk, nothing
from api.sandbox.listing import listed
from api.sandbox.objects import balance, charges
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import amount, merged, metadata, need, one_of, text
from api.sandbox.problems import Doc, StripeProblem, missing


def give_back(desk: Desk, charge: Doc, wanted: int | None, params: Doc) -> Doc:
    """Refund `wanted` of a charge, or all that is left."""
    remaining = charge["amount"] - charge["amount_refunded"]
    if not charge["paid"]:
        raise StripeProblem(
            f"Charge {charge['id']} has not succeeded and cannot be refunded.", code="charge_not_refundable"
        )
    if charge["disputed"] and not _won(desk, charge):
        raise StripeProblem(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if remaining == 0:
        raise StripeProblem(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    value = remaining if wanted is None else wanted
    if value < 1:
        raise StripeProblem("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if value > remaining:
        raise StripeProblem(
            f"Refund amount ({value}) is greater than unrefunded amount on charge ({remaining})",
            param="amount",
        )
    charge = charges.book(desk, charge["id"])
    refund = desk.new(
        "refund",
        {
            "amount": value,
            "balance_transaction": None,
            "charge": charge["id"],
            "currency": charge["currency"],
            "destination_details": {
                "card": {
                    "reference_status": "pending",
                    "reference_type": "acquirer_reference_number",
                    "type": "refund",
                },
                "type": "card",
            },
            "metadata": merged({}, params.get("metadata")),
            "payment_intent": charge["payment_intent"],
            "reason": params.get("reason"),
            "status": "succeeded",
        }
        | nothing("receipt_number", "source_transfer_reversal", "transfer_reversal"),
    )
    refund.pop("livemode")
    entry = balance.book(
        desk, "refund", refund, -value, at_once=True, description=f"REFUND FOR CHARGE ({charge['id']})"
    )
    refund["balance_transaction"] = entry["id"]
    desk.save(refund)
    desk.emit("refund.created", refund)
    total = charge["amount_refunded"] + value
    changed(
        desk, charge, {"amount_refunded": total, "refunded": total == charge["amount"]}, "charge.refunded"
    )
    return refund


def _won(desk: Desk, charge: Doc) -> bool:
    return any(dispute["status"] == "won" for dispute in desk.where("dispute", charge=charge["id"]))


def _create(desk: Desk, params: Doc) -> Doc:
    if params.get("charge") and params.get("payment_intent"):
        raise StripeProblem(
            "You may only specify one of these parameters: charge, payment_intent.", param="charge"
        )
    if params.get("payment_intent"):
        intent = desk.get("payment_intent", params["payment_intent"], "payment_intent")
        if intent["status"] != "succeeded" or not intent["latest_charge"]:
            raise StripeProblem(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                code="payment_intent_unexpected_state",
                param="payment_intent",
            )
        charge = desk.get("charge", intent["latest_charge"])
    elif params.get("charge"):
        charge = desk.get("charge", params["charge"], "charge")
    else:
        raise missing("charge")
    desk.follow(charge)
    return give_back(desk, charge, params.get("amount"), params)


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    need(params, "metadata")
    refund = desk.get("refund", name)
    return changed(
        desk, refund, {"metadata": merged(refund["metadata"], params["metadata"])}, "refund.updated"
    )


def _cancel(desk: Desk, _params: Doc, name: str) -> Doc:
    refund = desk.get("refund", name)
    raise StripeProblem(
        f"You can only cancel refunds that require action; {refund['id']} is {refund['status']}.",
        code="payment_method_not_available",
    )


OPERATIONS = [
    Operation(
        "POST",
        "/v1/refunds",
        _create,
        EXPAND
        | {
            "amount": amount,
            "charge": text,
            "payment_intent": text,
            "metadata": metadata,
            "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
        },
    ),
    listed("refund", "/v1/refunds", filters={"charge": text, "payment_intent": text}),
    retrieve("refund", "/v1/refunds"),
    Operation("POST", "/v1/refunds/{}", _update, EXPAND | {"metadata": metadata}),
    Operation("POST", "/v1/refunds/{}/cancel", _cancel, EXPAND),
]
