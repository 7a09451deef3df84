"""Connect: the networks' accounts, transfers to them, and reversals of wrong ones."""

from api.sandbox.desk import Desk, nothing
from api.sandbox.listing import listed, page
from api.sandbox.objects import balance
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import (
    Shape,
    address,
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

_DUE = [
    "business_profile.url",
    "business_type",
    "external_account",
    "tos_acceptance.date",
    "tos_acceptance.ip",
]
_PLATFORM = "acct_sandboxplatform"
_FIELDS: dict[str, Shape] = EXPAND | {
    "business_type": one_of("company", "government_entity", "individual", "non_profit"),
    "capabilities": {"transfers": {"requested": flag}, "card_payments": {"requested": flag}},
    "email": text,
    "metadata": metadata,
    "business_profile": {"name": text, "url": address, "product_description": text},
}


def _account(params: Doc, *, ready: bool) -> Doc:
    state = "active" if ready else "inactive"
    asked = params.get("capabilities") or {"transfers": {"requested": True}}
    return {
        "business_profile": nothing(
            "annual_revenue",
            "estimated_worker_count",
            "mcc",
            "minority_owned_business_designation",
            "name",
            "product_description",
            "support_address",
            "support_email",
            "support_phone",
            "support_url",
            "url",
        )
        | (params.get("business_profile") or {}),
        "business_type": params.get("business_type"),
        "capabilities": dict.fromkeys(asked, state),
        "charges_enabled": ready,
        "country": params.get("country") or "US",
        "default_currency": "usd",
        "details_submitted": ready,
        "email": params.get("email"),
        "metadata": merged({}, params.get("metadata")),
        "payouts_enabled": ready,
        "requirements": {
            "alternatives": [],
            "current_deadline": None,
            "currently_due": [] if ready else _DUE,
            "disabled_reason": None if ready else "requirements.past_due",
            "errors": [],
            "eventually_due": [] if ready else _DUE,
            "past_due": [] if ready else _DUE,
            "pending_verification": [],
        },
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": params.get("type") or "none",
    }


def _create(desk: Desk, params: Doc) -> Doc:
    account = desk.new("account", _account(params, ready=False))
    account.pop("livemode")
    url = f"/v1/accounts/{account['id']}/external_accounts"
    account["external_accounts"] = page([], url)
    desk.save(account)
    desk.emit("account.updated", account)
    return account


def onboard(desk: Desk, name: str) -> Doc:
    """Finish onboarding, as the hosted form would: the account may receive transfers and pay out."""
    account = desk.get("account", name)
    ready = _account(account | {"capabilities": account["capabilities"]}, ready=True)
    wanted = ("capabilities", "charges_enabled", "details_submitted", "payouts_enabled", "requirements")
    return changed(desk, account, {key: ready[key] for key in wanted}, "account.updated")


def _own(desk: Desk, _params: Doc) -> Doc:
    found = desk.find(desk.account or _PLATFORM)
    if found is None:
        found = desk.new("account", _account({"type": "standard"}, ready=True), name=_PLATFORM)
        found.pop("livemode")
        desk.save(found)
    return found


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    account = desk.get("account", name)
    fields: Doc = {"metadata": merged(account["metadata"], params.get("metadata"))}
    fields |= {key: params[key] for key in ("email", "business_type") if key in params}
    if params.get("business_profile"):
        fields["business_profile"] = account["business_profile"] | params["business_profile"]
    if params.get("capabilities"):
        state = "active" if account["details_submitted"] else "inactive"
        fields["capabilities"] = account["capabilities"] | dict.fromkeys(params["capabilities"], state)
    return changed(desk, account, fields, "account.updated")


def _delete(desk: Desk, _params: Doc, name: str) -> Doc:
    account = desk.get("account", name)
    if any(balance.sums(desk, name).values()):
        raise StripeProblem(
            "This account still has a balance and cannot be deleted.", code="account_has_balance"
        )
    return desk.save({"id": account["id"], "object": "account", "deleted": True})


def _link(desk: Desk, params: Doc) -> Doc:
    need(params, "account", "type", "refresh_url", "return_url")
    account = desk.get("account", params["account"], "account")
    account["_return_url"] = params["return_url"]
    desk.save(account)
    return {
        "object": "account_link",
        "created": desk.now,
        "expires_at": desk.now + 300,
        "url": f"{desk.url}/onboard/{account['id']}",
    }


def _transfer(desk: Desk, params: Doc) -> Doc:
    need(params, "currency", "destination", "amount")
    if params["amount"] < 1:
        raise StripeProblem("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    target = desk.find(params["destination"])
    if target is None or target["object"] != "account" or target.get("deleted"):
        raise StripeProblem(
            f"No such destination: '{params['destination']}'", code="resource_missing", param="destination"
        )
    if target["capabilities"].get("transfers") != "active":
        raise StripeProblem(
            "Your destination account needs to have at least one of the following capabilities enabled: transfers, "
            "crypto_transfers, legacy_payments",
            code="insufficient_capabilities_for_transfer",
        )
    group = params.get("transfer_group")
    if params.get("source_transaction"):
        charge = desk.get("charge", params["source_transaction"], "source_transaction")
        sent = sum(one["amount"] for one in desk.where("transfer", source_transaction=charge["id"]))
        if params["amount"] + sent > charge["amount"]:
            raise StripeProblem("Transfers may not exceed the source charge.", param="amount")
        group = group or charge["transfer_group"] or f"group_{charge['payment_intent']}"
    else:
        balance.refuse_beyond_balance(desk, params["amount"], params["currency"])
    transfer = desk.new(
        "transfer",
        {
            "amount": params["amount"],
            "amount_reversed": 0,
            "balance_transaction": None,
            "currency": params["currency"],
            "description": params.get("description"),
            "destination": target["id"],
            "metadata": merged({}, params.get("metadata")),
            "reversed": False,
            "source_transaction": params.get("source_transaction"),
            "source_type": "card",
            "transfer_group": group,
        },
    )
    transfer["reversals"] = page([], f"/v1/transfers/{transfer['id']}/reversals")
    entry = balance.book(desk, "transfer", transfer, -params["amount"], at_once=True)
    balance.book(desk, "payment", transfer, params["amount"], account=target["id"], at_once=True)
    transfer["balance_transaction"] = entry["id"]
    desk.save(transfer)
    desk.emit("transfer.created", transfer)
    return transfer


def _reverse(desk: Desk, params: Doc, name: str) -> Doc:
    transfer = desk.get("transfer", name)
    left = transfer["amount"] - transfer["amount_reversed"]
    value = left if params.get("amount") is None else params["amount"]
    if not 1 <= value <= left:
        raise StripeProblem(
            f"The amount {value} is more than what is left of the transfer ({left}).", param="amount"
        )
    balance.refuse_beyond_balance(desk, value, transfer["currency"], transfer["destination"])
    reversal = desk.new(
        "transfer_reversal",
        {
            "amount": value,
            "balance_transaction": None,
            "currency": transfer["currency"],
            "destination_payment_refund": None,
            "metadata": merged({}, params.get("metadata")),
            "source_refund": None,
            "transfer": name,
        },
    )
    reversal.pop("livemode")
    entry = balance.book(desk, "transfer_refund", reversal, value, category="transfer_reversal", at_once=True)
    balance.book(desk, "payment_refund", reversal, -value, account=transfer["destination"], at_once=True)
    reversal["balance_transaction"] = entry["id"]
    desk.save(reversal)
    total = transfer["amount_reversed"] + value
    kept = [
        {key: item for key, item in reversal.items() if not key.startswith("_")},
        *transfer["reversals"]["data"],
    ]
    fields = {"amount_reversed": total, "reversed": total == transfer["amount"]}
    fields["reversals"] = transfer["reversals"] | {"data": kept[:10]}
    changed(desk, transfer, fields, "transfer.reversed")
    return reversal


def _update_transfer(desk: Desk, params: Doc, name: str) -> Doc:
    transfer = desk.get("transfer", name)
    fields: Doc = {"metadata": merged(transfer["metadata"], params.get("metadata"))}
    fields |= {key: params[key] for key in ("description",) if key in params}
    return changed(desk, transfer, fields, "transfer.updated")


def _reversal(desk: Desk, _params: Doc, transfer: str, name: str) -> Doc:
    reversal = desk.get("transfer_reversal", name)
    if reversal["transfer"] != transfer:
        raise StripeProblem(
            f"No such transfer reversal: '{name}'", status=404, code="resource_missing", param="id"
        )
    return reversal


OPERATIONS = [
    Operation("GET", "/v1/account", _own),
    Operation(
        "POST",
        "/v1/accounts",
        _create,
        _FIELDS | {"country": text, "type": one_of("custom", "express", "standard")},
    ),
    listed("account", "/v1/accounts"),
    retrieve("account", "/v1/accounts"),
    Operation("POST", "/v1/accounts/{}", _update, _FIELDS),
    Operation("DELETE", "/v1/accounts/{}", _delete),
    Operation(
        "POST",
        "/v1/account_links",
        _link,
        EXPAND
        | {
            "account": text,
            "refresh_url": address,
            "return_url": address,
            "type": one_of("account_onboarding", "account_update"),
        },
    ),
    Operation(
        "POST",
        "/v1/transfers",
        _transfer,
        EXPAND
        | {
            "amount": amount,
            "currency": currency,
            "description": text,
            "destination": text,
            "metadata": metadata,
            "source_transaction": text,
            "transfer_group": text,
        },
    ),
    listed("transfer", "/v1/transfers", filters={"destination": text, "transfer_group": text}),
    retrieve("transfer", "/v1/transfers"),
    Operation(
        "POST", "/v1/transfers/{}", _update_transfer, EXPAND | {"metadata": metadata, "description": text}
    ),
    Operation(
        "POST", "/v1/transfers/{}/reversals", _reverse, EXPAND | {"amount": count, "metadata": metadata}
    ),
    listed("transfer_reversal", "/v1/transfers/{}/reversals", parent="transfer", dated=False),
    Operation("GET", "/v1/transfers/{}/reversals/{}", _reversal),
]
