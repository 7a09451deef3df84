"""The balance: its transactions, what is available, and payouts to the bank."""

from api.sandbox.desk import Desk, nothing
from api.sandbox.listing import listed
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import amount, currency, merged, metadata, need, one_of, text
from api.sandbox.problems import Doc, StripeProblem


def book(
    desk: Desk,
    kind: str,
    source: Doc,
    amount: int,
    *,
    fee: int = 0,
    category: str | None = None,
    account: str = "",
    at_once: bool = False,
    description: str | None = None,
) -> Doc:
    """Keep a balance transaction: `amount` moved because of `source`, of which `fee` is kept by Stripe."""
    available = desk.now + (0 if at_once else int(desk.terms.available_after))
    fee_details = [
        {
            "amount": fee,
            "application": None,
            "currency": source["currency"],
            "description": "Dispute fee" if source["object"] == "dispute" else "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    entry = desk.new(
        "balance_transaction",
        {
            "amount": amount,
            "available_on": available,
            "balance_type": "payments",
            "currency": source["currency"],
            "description": description,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": fee_details if fee else [],
            "net": amount - fee,
            "reporting_category": category or kind,
            "source": source["id"],
            "status": "available" if available <= desk.now else "pending",
            "type": kind,
            "_account": account,
        },
    )
    del entry["livemode"]
    return desk.save(entry)


def sums(desk: Desk, account: str = "") -> dict[tuple[str, str], int]:
    """Return net sums by (currency, `available` or `pending`); what has come of age is marked so."""
    totals: dict[tuple[str, str], int] = {}
    for entry in desk.where("balance_transaction", _account=account):
        if entry["status"] == "pending" and entry["available_on"] <= desk.now:
            desk.save(entry | {"status": "available"})
            entry["status"] = "available"
        at = (entry["currency"], entry["status"])
        totals[at] = totals.get(at, 0) + entry["net"]
    return totals


def available(desk: Desk, money: str, account: str = "") -> int:
    """Return what may be sent on in a currency."""
    return sums(desk, account).get((money, "available"), 0)


def refuse_beyond_balance(desk: Desk, wanted: int, money: str, account: str = "") -> None:
    """Refuse to send more than is available."""
    if wanted > available(desk, money, account):
        raise StripeProblem(
            "You have insufficient available funds in your Stripe account. Try adding funds directly to your "
            "available balance by creating charges using the 4000000000000077 test card.",
            code="balance_insufficient",
        )


def _balance(desk: Desk, _params: Doc) -> Doc:
    totals = sums(desk, desk.account)
    currencies = sorted({money for money, _ in totals} or {desk.terms.currency})
    shown = {
        status: [
            {
                "amount": totals.get((money, status), 0),
                "currency": money,
                "source_types": {"card": totals.get((money, status), 0)},
            }
            for money in currencies
        ]
        for status in ("available", "pending")
    }
    return {"object": "balance", **shown, "livemode": False}


def _transaction(desk: Desk, _params: Doc, name: str) -> Doc:
    sums(desk, desk.account)
    return desk.get("balance_transaction", name)


def _pay_out(desk: Desk, params: Doc) -> Doc:
    need(params, "amount", "currency")
    if params["amount"] < 1:
        raise StripeProblem("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    refuse_beyond_balance(desk, params["amount"], params["currency"], desk.account)
    payout = desk.new(
        "payout",
        {
            "amount": params["amount"],
            "arrival_date": int(desk.instant + desk.terms.payout_delay),
            "automatic": False,
            "balance_transaction": None,
            "currency": params["currency"],
            "description": params.get("description"),
            "destination": None,
            "metadata": merged({}, params.get("metadata")),
            "method": params.get("method") or "standard",
            "reconciliation_status": "not_applicable",
            "source_type": "card",
            "statement_descriptor": params.get("statement_descriptor"),
            "status": "pending",
            "trace_id": None,
            "type": "bank_account",
            "_account": desk.account,
        }
        | nothing(
            "application_fee",
            "application_fee_amount",
            "failure_balance_transaction",
            "failure_code",
            "failure_message",
            "original_payout",
            "payout_method",
            "reversed_by",
        ),
    )
    entry = book(desk, "payout", payout, -params["amount"], account=desk.account, at_once=True)
    payout["balance_transaction"] = entry["id"]
    desk.save(payout)
    desk.emit("payout.created", payout)
    desk.later(desk.instant + desk.terms.payout_delay, "payout.arrive", payout["id"])
    return payout


def arrive(desk: Desk, name: str) -> None:
    """Let a payout reach the bank."""
    payout = desk.get("payout", name)
    if payout["status"] == "pending":
        changed(desk, payout, {"status": "paid"}, "payout.paid")


def _cancel(desk: Desk, _params: Doc, name: str) -> Doc:
    payout = desk.get("payout", name)
    if payout["status"] != "pending":
        raise StripeProblem("Payouts can only be canceled while they are pending.")
    book(desk, "payout_cancel", payout, payout["amount"], account=payout["_account"], at_once=True)
    return changed(desk, payout, {"status": "canceled"}, "payout.canceled")


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    payout = desk.get("payout", name)
    return changed(
        desk, payout, {"metadata": merged(payout["metadata"], params.get("metadata"))}, "payout.updated"
    )


OPERATIONS = [
    Operation("GET", "/v1/balance", _balance),
    listed(
        "balance_transaction",
        "/v1/balance_transactions",
        filters={"currency": currency, "payout": text, "source": text, "type": text},
        columns={"payout": "source"},
    ),
    Operation("GET", "/v1/balance_transactions/{}", _transaction),
    Operation(
        "POST",
        "/v1/payouts",
        _pay_out,
        EXPAND
        | {
            "amount": amount,
            "currency": currency,
            "description": text,
            "metadata": metadata,
            "method": one_of("standard", "instant"),
            "statement_descriptor": text,
        },
    ),
    listed("payout", "/v1/payouts", filters={"status": text}),
    retrieve("payout", "/v1/payouts"),
    Operation("POST", "/v1/payouts/{}", _update, EXPAND | {"metadata": metadata}),
    Operation("POST", "/v1/payouts/{}/cancel", _cancel, EXPAND),
]
