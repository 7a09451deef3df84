"""Payment methods: cards that are kept, attached to customers and let go."""

from api.sandbox.desk import Desk, nothing
from api.sandbox.listing import listed, page
from api.sandbox.objects.cards import Card, decline, declined, named, numbered
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import ADDRESS, Shape, count, merged, metadata, need, one_of, text
from api.sandbox.problems import Doc, StripeProblem

BILLING: dict[str, Shape] = {"address": ADDRESS, "email": text, "name": text, "phone": text, "tax_id": text}
_CREATE: dict[str, Shape] = EXPAND | {
    "type": one_of("card", "sepa_debit"),
    "sepa_debit": {"iban": text},
    "card": {"number": text, "exp_month": count, "exp_year": count, "cvc": text, "token": text},
    "billing_details": BILLING,
    "metadata": metadata,
    "allow_redisplay": one_of("always", "limited", "unspecified"),
}


def make(desk: Desk, card: Card, given: Doc | None = None, *, expiry: tuple[int, int] = (12, 2034)) -> Doc:
    """Keep a card as a payment method; of the number only the last four digits remain."""
    given = given or {}
    billing = nothing("address", "email", "name", "phone", "tax_id") | (given.get("billing_details") or {})
    billing["address"] = nothing(*ADDRESS) | (billing["address"] or {})  # type: ignore[misc] # ADDRESS is a hash
    kind, details = "card", _card(card, expiry)
    if card.brand == "sepa":
        kind, details = "sepa_debit", _account(card)
    elif card.behaviour == "slow":
        kind, details = "us_bank_account", _bank(card)
    return desk.new(
        "payment_method",
        {
            "allow_redisplay": given.get("allow_redisplay") or "unspecified",
            "billing_details": billing,
            kind: details,
            "customer": None,
            "metadata": merged({}, given.get("metadata")),
            "type": kind,
            "_card": card.number,
            "_confirmed": False,
        },
    )


def _card(card: Card, expiry: tuple[int, int]) -> Doc:
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "fail" if card.reason == "incorrect_cvc" else "pass",
        },
        "country": "US",
        "display_brand": card.brand,
        "exp_month": expiry[0],
        "exp_year": expiry[1],
        "fingerprint": f"sandbox{card.number[-9:]}",
        "funding": "credit",
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _bank(card: Card) -> Doc:
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": f"sandbox{card.number[-9:]}",
        "last4": card.number[-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }


def _account(card: Card) -> Doc:
    return {
        "bank_code": card.number[4:9],
        "branch_code": "",
        "country": card.number[:2],
        "fingerprint": f"sandbox{card.number[-9:]}",
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": card.number[-4:],
    }


def chosen(desk: Desk, name: str, param: str = "payment_method") -> Doc:
    """Return the payment method with this id; Stripe's test names make a new one."""
    card = named(name)
    return make(desk, card) if card else desk.get("payment_method", name, param)


def attach(desk: Desk, method: Doc, customer: Doc) -> Doc:
    """Give a payment method to a customer."""
    if method["customer"] == customer["id"]:
        return method
    if method["customer"] is not None:
        raise StripeProblem("This payment method has already been attached to a customer.")
    return changed(desk, method, {"customer": customer["id"]}, "payment_method.attached")


def _create(desk: Desk, params: Doc) -> Doc:
    need(params, "type")
    if params["type"] == "sepa_debit":
        need(params, "sepa_debit", "billing_details")
        account = numbered(params["sepa_debit"].get("iban") or "")
        if account is None:
            raise StripeProblem(
                "The bank account number provided is invalid.",
                code="invalid_bank_account_iban",
                param="sepa_debit[iban]",
            )
        return make(desk, account, params)
    need(params, "card")
    given = params["card"]
    if given.get("token"):
        card = named(given["token"])
        if card is None:
            raise StripeProblem(
                f"No such token: '{given['token']}'", code="resource_missing", param="card[token]"
            )
        return make(desk, card, params)
    need(
        params | {f"card[{key}]": value for key, value in given.items()},
        "card[number]",
        "card[exp_month]",
        "card[exp_year]",
    )
    card = numbered(given["number"])
    if card is None:
        raise StripeProblem(
            "Your card was declined. Your request was in test mode, but used a non test card.",
            status=402,
            kind="card_error",
            code="card_declined",
            decline_code="test_mode_live_card",
        )
    return make(desk, card, params, expiry=(given["exp_month"], given["exp_year"]))


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    method = desk.get("payment_method", name)
    fields: Doc = {"metadata": merged(method["metadata"], params.get("metadata"))}
    if params.get("billing_details"):
        fields["billing_details"] = method["billing_details"] | params["billing_details"]
    if params.get("allow_redisplay"):
        fields["allow_redisplay"] = params["allow_redisplay"]
    return changed(desk, method, fields, "payment_method.updated")


def _attach(desk: Desk, params: Doc, name: str) -> Doc:
    need(params, "customer")
    customer = desk.get("customer", params["customer"], "customer")
    desk.follow(customer)
    method = chosen(desk, name, "id")
    from_card = numbered(method["_card"])
    if from_card is not None and from_card.behaviour == "declines":
        raise declined(decline(from_card.reason))
    return attach(desk, method, customer)


def _detach(desk: Desk, _params: Doc, name: str) -> Doc:
    method = desk.get("payment_method", name)
    if method["customer"] is None:
        raise StripeProblem(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    customer = desk.get("customer", method["customer"])
    if customer.get("invoice_settings", {}).get("default_payment_method") == name:
        customer["invoice_settings"]["default_payment_method"] = None
        desk.save(customer)
    return changed(desk, method, {"customer": None}, "payment_method.detached")


def _of_customer(desk: Desk, params: Doc, customer: str) -> Doc:
    desk.get("customer", customer)
    found = desk.where("payment_method", customer=customer)
    found.reverse()
    limit = params.get("limit") or 10
    return page(found[:limit], f"/v1/customers/{customer}/payment_methods", more=len(found) > limit)


def _one_of_customer(desk: Desk, _params: Doc, customer: str, name: str) -> Doc:
    method = desk.get("payment_method", name)
    if method["customer"] != customer:
        raise StripeProblem(f"No such payment method: '{name}'", status=404, code="resource_missing")
    return method


_TYPE: dict[str, Shape] = {"type": one_of("card", "sepa_debit")}
OPERATIONS = [
    Operation("POST", "/v1/payment_methods", _create, _CREATE),
    listed("payment_method", "/v1/payment_methods", filters={"customer": text} | _TYPE, dated=False),
    retrieve("payment_method", "/v1/payment_methods"),
    Operation(
        "POST",
        "/v1/payment_methods/{}",
        _update,
        EXPAND | {name: _CREATE[name] for name in ("billing_details", "metadata", "allow_redisplay")},
    ),
    Operation("POST", "/v1/payment_methods/{}/attach", _attach, EXPAND | {"customer": text}),
    Operation("POST", "/v1/payment_methods/{}/detach", _detach, EXPAND),
    Operation("GET", "/v1/customers/{}/payment_methods", _of_customer, _TYPE | {"limit": count}),
    Operation("GET", "/v1/customers/{}/payment_methods/{}", _one_of_customer),
]
