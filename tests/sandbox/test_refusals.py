"""It refuses what Stripe refuses: a table of requests, and the answer that each must get."""

import base64
from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import KEY, World

INLINE = "line_items[0][quantity]=1&line_items[0][price_data][currency]=usd&line_items[0][price_data][product_data][name]=x"
CHECKOUT = f"mode=payment&success_url=https://a.example/&{INLINE}&line_items[0][price_data][unit_amount]="
YEARLY = f"{CHECKOUT}2500&line_items[0][price_data][recurring][interval]=year"
PRICE = "currency=usd&product_data[name]=x"
INTENT = "amount=100&currency=usd"

REFUSED = [
    ("/v1/checkout/sessions", CHECKOUT.replace("success_url=https://a.example/&", "") + "2500", "parameter_missing", "success_url"),
    ("/v1/checkout/sessions", CHECKOUT + "49", "amount_too_small", "line_items"),
    ("/v1/checkout/sessions", CHECKOUT + "0", "amount_too_small", "line_items"),
    ("/v1/checkout/sessions", CHECKOUT + "-1", "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
    ("/v1/checkout/sessions", CHECKOUT + "25.0", "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
    ("/v1/checkout/sessions", CHECKOUT + "1e3", "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
    ("/v1/checkout/sessions", CHECKOUT + "NaN", "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
    ("/v1/checkout/sessions", CHECKOUT + "%EF%BC%91%EF%BC%90%EF%BC%90", "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
    ("/v1/checkout/sessions", CHECKOUT + "100000000", "amount_too_large", "line_items[0][price_data][unit_amount]"),
    ("/v1/checkout/sessions", YEARLY, None, "line_items[0]"),
    ("/v1/checkout/sessions", (CHECKOUT + "2500").replace("mode=payment", "mode=subscription"), None, "mode"),
    ("/v1/checkout/sessions", (CHECKOUT + "2500").replace("mode=payment", "mode=gift"), None, "mode"),
    ("/v1/checkout/sessions", CHECKOUT + "2500&payment_method_types[]=card", None, "payment_method_types[0]"),
    ("/v1/checkout/sessions", CHECKOUT + "2500&sucess_url=x", "parameter_unknown", "sucess_url"),
    ("/v1/checkout/sessions", CHECKOUT + "2500&subscription_data[metadata][a]=b", None, "subscription_data"),
    ("/v1/checkout/sessions", CHECKOUT + "2500&expires_at=1", None, "expires_at"),
    ("/v1/checkout/sessions", CHECKOUT + "2500&customer=cus_none", "resource_missing", "customer"),
    ("/v1/checkout/sessions", CHECKOUT.replace("https://a.example/", "javascript:alert(1)") + "2500", "url_invalid", "success_url"),
    ("/v1/checkout/sessions", CHECKOUT.replace("line_items[0][quantity]=1&", "") + "2500", "parameter_missing", "line_items[0][quantity]"),
    ("/v1/prices", f"{PRICE}&custom_unit_amount[enabled]=true&recurring[interval]=year", None, "custom_unit_amount"),
    ("/v1/prices", f"{PRICE}&unit_amount=100&recurring[interval]=year&recurring[interval_count]=4", None, "recurring[interval_count]"),
    ("/v1/prices", PRICE, "parameter_missing", "unit_amount"),
    ("/v1/prices", f"{PRICE.replace('usd', 'xxx')}&unit_amount=100", None, "currency"),
    ("/v1/payment_intents", INTENT.replace("usd", "dollars"), None, "currency"),
    ("/v1/payment_intents", INTENT.replace("100", "49"), "amount_too_small", "amount"),
    ("/v1/payment_intents", "currency=usd", "parameter_missing", "amount"),
    ("/v1/payment_intents", f"{INTENT}&payment_method=pm_none", "resource_missing", "payment_method"),
    ("/v1/payment_intents", f"{INTENT}&confirm=true", "payment_intent_unexpected_state", None),
    ("/v1/payment_intents", f"{INTENT}&confirm=yes", "parameter_invalid_boolean", "confirm"),
    ("/v1/payment_intents", f"{INTENT}&metadata[a]={'x' * 501}", None, "metadata[a]"),
    ("/v1/payment_intents", f"{INTENT}&metadata[{'k' * 41}]=x", None, f"metadata[{'k' * 41}]"),
    ("/v1/payment_intents", INTENT + "".join(f"&metadata[k{n}]=x" for n in range(51)), None, "metadata"),
    ("/v1/payment_intents", f"{INTENT}&amount=200", None, "amount"),
    ("/v1/payment_intents", f"{INTENT}&description=a%00b", None, "description"),
    ("/v1/payment_intents", f"{INTENT}&description=%FF", None, None),
    ("/v1/payment_intents", f"{INTENT}&description[a]=b", None, "description"),
    ("/v1/payment_intents", f"{INTENT}&metadata=x", None, "metadata"),
    ("/v1/payment_intents", f"{INTENT}&expand[]=colour", "property_not_expandable", "expand"),
    ("/v1/subscriptions", "items[0][price]=price_x", "parameter_missing", "customer"),
    ("/v1/refunds", "amount=1", "parameter_missing", "charge"),
    ("/v1/refunds", "charge=ch_none", "resource_missing", "charge"),
    ("/v1/transfers", f"{INTENT}&destination=acct_none", "resource_missing", "destination"),
    ("/v1/payouts", INTENT, "balance_insufficient", None),
    ("/v1/webhook_endpoints", "url=https://a.example/", "parameter_missing", "enabled_events"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "code", "param"), REFUSED, ids=lambda value: str(value)[:60])
async def test_it_refuses(counter: World, path: str, body: str, code: str | None, param: str | None) -> None:
    answer = await counter.post(path, body)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["type"], error.get("code"), error.get("param")) == ("invalid_request_error", code, param)
    # Nothing of a refused request stays behind.
    assert (await counter.get("/v1/events")).json()["data"] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer sk_live_123"}, 401),
        ({"Stripe-Version": "yesterday"}, 400),
        ({"Content-Type": "application/json"}, 400),
        ({"Stripe-Account": "acct_none"}, 400),
    ],
    ids=str,
)
async def test_it_refuses_headers(counter: World, headers: dict[str, str], status: int) -> None:
    assert (await counter.post("/v1/customers", "name=x", **headers)).status_code == status


async def test_a_key_may_come_as_the_name_of_basic_authentication(counter: World) -> None:
    basic = base64.b64encode(b"sk_test_sandbox000000:").decode()

    answer = await counter.post("/v1/customers", "name=x", Authorization=f"Basic {basic}")

    assert answer.status_code == 200


async def test_what_is_not_there_is_404(counter: World) -> None:
    for path in ("/v1/customers/cus_none", "/v1/payment_intents/cus_none", "/v1/nothing"):
        assert (await counter.get(path)).status_code == 404


async def test_too_many_fields_and_too_much_text_are_refused(counter: World) -> None:
    assert (
        await counter.post("/v1/customers", "&".join(f"a{n}=1" for n in range(20_000)))
    ).status_code == 400
    assert (await counter.post("/v1/customers", "name=" + "x" * 300_000)).status_code == 413
    assert (await counter.post("/v1/customers", "a" + "[b]" * 50 + "=1")).status_code == 400


async def test_a_declined_card_is_402_and_the_attempt_is_a_fact(shop: World) -> None:
    with pytest.raises(stripe.CardError) as refused:
        await shop.stripe.v1.payment_intents.create_async(
            {
                "amount": 100,
                "currency": "usd",
                "payment_method": "pm_card_visa_chargeDeclined",
                "confirm": True,
            }
        )
    error: Any = refused.value.error
    assert (refused.value.http_status, error.code, error.decline_code) == (
        402,
        "card_declined",
        "generic_decline",
    )
    assert (await shop.settle()) == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]


async def test_metadata_is_merged_and_removed_key_by_key(shop: World) -> None:
    customer = await shop.stripe.v1.customers.create_async({"metadata": {"a": "1", "b": "2"}})
    changed = await shop.stripe.v1.customers.update_async(customer.id, {"metadata": {"a": "", "c": "3"}})
    assert changed.to_dict()["metadata"] == {"b": "2", "c": "3"}


async def test_lists_are_paged_newest_first(shop: World) -> None:
    made = [(await shop.stripe.v1.customers.create_async({"name": str(n)})).id for n in range(5)]
    first = await shop.stripe.v1.customers.list_async({"limit": 2})
    assert ([one.id for one in first.data], first.has_more) == ([made[4], made[3]], True)
    rest = await shop.stripe.v1.customers.list_async({"limit": 3, "starting_after": made[3]})
    assert ([one.id for one in rest.data], rest.has_more) == ([made[2], made[1], made[0]], False)
    everyone = [one.id async for one in first.auto_paging_iter()]
    assert everyone == list(reversed(made))


async def test_an_operation_is_found_again_by_its_metadata(shop: World) -> None:
    for name in ("op-1", "op-2"):
        await shop.stripe.v1.payment_intents.create_async(
            {"amount": 100, "currency": "usd", "metadata": {"operation": name}}
        )
    found = await shop.stripe.v1.payment_intents.search_async({"query": "metadata['operation']:'op-2'"})
    assert [intent.metadata["operation"] for intent in found.data] == ["op-2"]
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.payment_intents.search_async({"query": "') OR 1=1 --"})


async def test_what_was_deleted_cannot_be_used_again(counter: World) -> None:
    made = (await counter.post("/v1/products", "name=a&id=year")).json()["id"]
    assert (await counter.post("/v1/products", "name=a&id=year")).json()["error"][
        "code"
    ] == "resource_already_exists"
    headers = {"Authorization": f"Bearer {KEY}"}
    assert (await counter.browser.delete(f"{counter.url}/v1/products/{made}", headers=headers)).json()[
        "deleted"
    ]
    assert (await counter.get(f"/v1/products/{made}")).status_code == 404
    answer = await counter.post("/v1/prices", f"currency=usd&unit_amount=100&product={made}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "resource_missing")
