"""Checkout: what a person pays, subscribes to or leaves a card for, on the hosted page."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe

from tests.sandbox.conftest import SECRET, World

PAID = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
    "charge.updated",
]
SUBSCRIBED = [
    "customer.created",
    "payment_method.attached",
    "customer.subscription.created",
    "invoice.created",
    "invoice.finalized",
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "invoice_payment.paid",
    "invoice.paid",
    "invoice.payment_succeeded",
    "customer.subscription.updated",
    "checkout.session.completed",
    "charge.updated",
]


async def test_a_card_that_works_pays_and_leads_back_with_the_session(shop: World) -> None:
    session = await shop.session(payment_intent_data={"metadata": {"operation": "op-1"}})
    await shop.settle()
    answer = await shop.enter(session)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query) == {"session": [session.id]}
    done = await shop.stripe.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["payment_intent.latest_charge.balance_transaction", "line_items"]}
    )
    intent: Any = done.payment_intent
    assert (done.status, done.payment_status, done.client_reference_id) == ("complete", "paid", "member-1")
    assert intent.metadata["operation"] == "op-1"
    assert (intent.latest_charge.amount, intent.latest_charge.balance_transaction.net) == (2500, 2397)
    assert done.line_items is not None
    assert done.line_items.data[0].amount_total == 2500
    assert await shop.settle() == PAID


async def test_the_balance_transaction_comes_after_the_success(shop: World) -> None:
    await shop.bought()
    await shop.settle()
    objects = {
        kind: json.loads(body)["data"] for kind, body in zip(shop.sink.types, shop.sink.bodies, strict=True)
    }
    assert objects["charge.succeeded"]["object"]["balance_transaction"] is None
    assert objects["charge.updated"]["object"]["balance_transaction"].startswith("txn_")
    assert objects["charge.updated"]["previous_attributes"] == {"balance_transaction": None}


async def test_a_subscription_begins_and_tells_its_story_in_order(shop: World) -> None:
    session = await shop.session("subscription", subscription_data={"metadata": {"operation": "op-1"}})
    await shop.settle()
    await shop.enter(session)
    assert await shop.settle() == SUBSCRIBED
    done = await shop.stripe.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["subscription", "invoice"]}
    )
    subscription: Any = done.subscription
    invoice: Any = done.invoice
    assert (subscription.status, subscription.metadata["operation"]) == ("active", "op-1")
    assert invoice.parent.subscription_details.subscription == subscription.id
    paid = await shop.stripe.v1.invoice_payments.list_async({"invoice": invoice.id})
    assert paid.data[0].payment.payment_intent.startswith("pi_")  # type: ignore[union-attr]


async def test_a_card_is_saved_and_nothing_charged(shop: World) -> None:
    customer = await shop.stripe.v1.customers.create_async({"metadata": {"ref": "r"}})
    session = await shop.session("setup", customer=customer.id, currency="usd")
    await shop.enter(session)
    done = await shop.stripe.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["setup_intent"]})
    setup: Any = done.setup_intent
    assert (done.payment_status, setup.status) == ("no_payment_required", "succeeded")
    kept = await shop.stripe.v1.customers.payment_methods.list_async(customer.id)
    assert [method.id for method in kept.data] == [setup.payment_method]
    assert (await shop.stripe.v1.charges.list_async()).data == []


@pytest.mark.parametrize("mode", ["payment", "subscription", "setup"])
async def test_a_declined_card_shows_why_and_another_may_be_tried(shop: World, mode: str) -> None:
    session = await shop.session(mode)
    answer = await shop.enter(session, "4000 0000 0000 0002")
    assert answer.status_code == 402
    assert "Your card was declined." in answer.text
    assert (await shop.enter(session)).status_code == 303
    done = await shop.stripe.v1.checkout.sessions.retrieve_async(session.id)
    assert done.status == "complete"
    succeeded = [charge for charge in (await shop.stripe.v1.charges.list_async()).data if charge.paid]
    assert len(succeeded) == (0 if mode == "setup" else 1)


@pytest.mark.parametrize("mode", ["payment", "subscription", "setup"])
async def test_a_bank_that_asks_is_answered_on_a_second_page(shop: World, mode: str) -> None:
    session = await shop.session(mode)
    await shop.settle()
    answer = await shop.enter(session, "4000002500003155")
    assert answer.status_code == 303
    question = answer.headers["location"]
    assert "Is this you?" in (await shop.browser.get(question)).text
    back = await shop.browser.post(question, data={"answer": "confirm"})
    assert back.headers["location"].startswith("https://coop.example/join/return")
    done = await shop.stripe.v1.checkout.sessions.retrieve_async(session.id)
    assert done.status == "complete"


async def test_an_abandoned_confirmation_charges_nothing_and_lets_one_try_again(shop: World) -> None:
    session = await shop.session("subscription")
    answer = await shop.enter(session, "4000002500003155")
    refused = await shop.browser.post(answer.headers["location"], data={"answer": "abandon"})
    assert refused.status_code == 402
    assert (await shop.stripe.v1.charges.list_async()).data == []
    assert (await shop.enter(session)).status_code == 303
    subscriptions = await shop.stripe.v1.subscriptions.list_async()
    assert [one.status for one in subscriptions.data] == ["active"]


async def test_pressing_pay_twice_charges_once(shop: World) -> None:
    session = await shop.session()
    await shop.enter(session)
    assert (await shop.enter(session)).status_code == 303
    assert len((await shop.stripe.v1.charges.list_async()).data) == 1


async def test_a_session_expires_by_request_and_by_time(shop: World) -> None:
    first, second = await shop.session(), await shop.session()
    expired = await shop.stripe.v1.checkout.sessions.expire_async(first.id)
    assert (expired.status, expired.url) == ("expired", None)
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.checkout.sessions.expire_async(first.id)
    assert "checkout.session.expired" in await shop.pass_time(hours=24)
    assert (await shop.stripe.v1.checkout.sessions.retrieve_async(second.id)).status == "expired"
    assert (await shop.browser.get(second.url or "")).status_code == 410


async def test_the_page_is_plain_and_escapes_what_it_is_told(shop: World) -> None:
    session = await shop.session(
        line_items=[
            {
                "price_data": {"currency": "usd", "unit_amount": 2500, "product_data": {"name": "<b>&\"'"}},
                "quantity": 1,
            }
        ]
    )
    answer = await shop.browser.get(session.url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' https://coop.example" in policy
    assert "unsafe" not in policy
    assert "<b>" not in answer.text
    assert "&lt;b&gt;" in answer.text
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert "25.00 USD" in answer.text


async def test_wrong_fields_are_named_beside_themselves(shop: World) -> None:
    session = await shop.session()
    answer = await shop.browser.post(
        session.url, data={"number": "4111111111111111", "expiry": "13/20", "cvc": "x"}
    )
    assert answer.status_code == 400
    assert answer.text.count('class="error"') == 3
    assert 'value="x"' not in answer.text


async def test_a_form_on_another_site_is_refused(shop: World) -> None:
    session = await shop.session()
    fields = {"number": "4242424242424242", "expiry": "12/34", "cvc": "123"}
    answer = await shop.browser.post(session.url, data=fields, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


async def test_webhooks_carry_a_signature_that_stripe_verifies(shop: World) -> None:
    await shop.bought()
    await shop.settle()
    for body, signature in zip(shop.sink.bodies, shop.sink.signatures, strict=True):
        event = stripe.Webhook.construct_event(body, signature, SECRET)  # type: ignore[no-untyped-call]
        assert event.livemode is False
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", signature, SECRET)  # type: ignore[no-untyped-call]


async def test_a_bank_debit_is_accepted_and_pays_days_later(shop: World) -> None:
    session = await shop.session()
    await shop.settle()
    await shop.enter(session, "000123456789")
    assert await shop.settle() == [
        "payment_intent.created",
        "charge.pending",
        "payment_intent.processing",
        "checkout.session.completed",
    ]
    waiting = await shop.stripe.v1.checkout.sessions.retrieve_async(session.id)
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert await shop.pass_time(days=4) == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.async_payment_succeeded",
        "charge.updated",
    ]
    assert (await shop.stripe.v1.checkout.sessions.retrieve_async(session.id)).payment_status == "paid"


async def test_a_bank_debit_may_fail_days_later(shop: World) -> None:
    done = await shop.bought(number="000222222227")
    await shop.settle()
    assert await shop.pass_time(days=4) == [
        "charge.failed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
    ]
    intent = await shop.stripe.v1.payment_intents.retrieve_async(
        done.payment_intent, {"expand": ["latest_charge"]}
    )
    charge: Any = intent.latest_charge
    assert (intent.status, charge.status, charge.paid) == ("requires_payment_method", "failed", False)
    assert (await shop.stripe.v1.balance_transactions.list_async()).data == []


async def test_a_bank_account_is_for_single_payments_only(shop: World) -> None:
    session = await shop.session("subscription")
    assert (await shop.enter(session, "000123456789")).status_code == 402
