"""Years under the clock: renewals, failures, retries, lapses, cancellations, short months."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from api.sandbox import Fault, Terms
from tests.sandbox.conftest import World, world

RENEWED = [
    "invoice.upcoming",
    "invoice.created",
    "customer.subscription.updated",
    "invoice.finalized",
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "invoice_payment.paid",
    "invoice.paid",
    "invoice.payment_succeeded",
    "charge.updated",
]
FAILED = [
    "charge.failed",
    "payment_intent.payment_failed",
    "invoice.payment_failed",
]


def day(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).date().isoformat()


async def end_of(shop: World, name: str) -> str:
    subscription = await shop.stripe.v1.subscriptions.retrieve_async(name)
    return day(subscription["items"].data[0].current_period_end)


async def test_a_year_later_the_card_is_charged_again(shop: World) -> None:
    done = await shop.bought("subscription")
    await shop.settle()
    assert await end_of(shop, done.subscription) == "2028-03-15"
    assert await shop.pass_time(days=367) == RENEWED
    assert await end_of(shop, done.subscription) == "2029-03-15"
    invoices = await shop.stripe.v1.invoices.list_async({"subscription": done.subscription})
    assert [(one.billing_reason, one.status, one.amount_paid) for one in invoices.data] == [
        ("subscription_cycle", "paid", 2500),
        ("subscription_create", "paid", 2500),
    ]


async def test_three_years_in_one_step_hold_three_renewals_at_their_own_instants(shop: World) -> None:
    await shop.bought("subscription")
    await shop.settle()
    assert (await shop.pass_time(days=3 * 366)).count("invoice.paid") == 3
    paid = [
        json.loads(body)
        for body, kind in zip(shop.sink.bodies, shop.sink.types, strict=True)
        if kind == "invoice.paid"
    ]
    assert [day(event["created"]) for event in paid] == ["2028-03-15", "2029-03-15", "2030-03-15"]


async def test_the_reminder_comes_thirty_days_ahead_and_tells_the_amount(shop: World) -> None:
    await shop.bought("subscription")
    await shop.settle()
    assert await shop.pass_time(days=335) == []
    assert await shop.pass_time(days=2) == ["invoice.upcoming"]
    assert json.loads(shop.sink.bodies[0])["data"]["object"]["amount_due"] == 2500


async def test_a_failed_renewal_is_retried_three_times_and_then_ends_the_subscription(shop: World) -> None:
    done = await shop.bought("subscription")
    await shop.settle()
    failing = await shop.stripe.v1.payment_methods.attach_async(
        "pm_card_chargeCustomerFail", {"customer": done.customer}
    )
    await shop.stripe.v1.subscriptions.update_async(done.subscription, {"default_payment_method": failing.id})
    await shop.settle()
    first = await shop.pass_time(days=366, hours=2)
    assert first == [*RENEWED[:5], *FAILED, "customer.subscription.updated"]
    assert (await shop.stripe.v1.subscriptions.retrieve_async(done.subscription)).status == "past_due"
    assert await shop.pass_time(days=3) == FAILED
    assert await shop.pass_time(days=5) == FAILED
    assert await shop.pass_time(days=6) == [*FAILED, "customer.subscription.deleted"]
    ended = await shop.stripe.v1.subscriptions.retrieve_async(done.subscription)
    assert ended.status == "canceled"
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "payment_failed"


async def test_a_decline_and_then_success_in_grace_makes_it_active_again(shop: World) -> None:
    done = await shop.bought("subscription")
    await shop.sandbox.arm(Fault(kind="declined"))
    await shop.pass_time(days=366, hours=2)
    assert (await shop.stripe.v1.subscriptions.retrieve_async(done.subscription)).status == "past_due"
    events = await shop.pass_time(days=3)
    assert events[-2:] == ["customer.subscription.updated", "charge.updated"]
    assert (await shop.stripe.v1.subscriptions.retrieve_async(done.subscription)).status == "active"


async def test_stopped_renewal_ends_with_the_year_and_charges_nothing(shop: World) -> None:
    done = await shop.bought("subscription")
    stopped = await shop.stripe.v1.subscriptions.update_async(
        done.subscription, {"cancel_at_period_end": True}
    )
    assert (stopped.status, day(stopped.cancel_at or 0)) == ("active", "2028-03-15")
    await shop.settle()
    assert await shop.pass_time(days=400) == ["customer.subscription.deleted"]


async def test_cancelled_at_once_it_is_over_and_not_twice(shop: World) -> None:
    done = await shop.bought("subscription")
    await shop.stripe.v1.subscriptions.cancel_async(done.subscription)
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.subscriptions.cancel_async(done.subscription)
    await shop.settle()
    assert await shop.pass_time(days=400) == []


async def test_another_amount_is_charged_from_the_next_year_on(shop: World) -> None:
    done = await shop.bought("subscription")
    subscription = await shop.stripe.v1.subscriptions.retrieve_async(done.subscription)
    item = subscription["items"].data[0]
    changed = await shop.stripe.v1.subscriptions.update_async(
        done.subscription,
        {
            "proration_behavior": "none",
            "items": [
                {
                    "id": item.id,
                    "price_data": {
                        "currency": "usd",
                        "unit_amount": 4000,
                        "product": item.price.product,
                        "recurring": {"interval": "year"},
                    },
                }
            ],
        },
    )
    assert changed["items"].data[0].price.unit_amount == 4000
    await shop.pass_time(days=367)
    newest = (await shop.stripe.v1.invoices.list_async()).data[0]
    assert newest.amount_paid == 4000


async def test_a_confirmed_card_pays_renewals_by_itself(shop: World) -> None:
    session = await shop.session("subscription")
    asked = await shop.enter(session, "4000002500003155")
    await shop.browser.post(asked.headers["location"], data={"answer": "confirm"})
    await shop.settle()
    assert await shop.pass_time(days=367) == RENEWED


async def test_a_card_that_asks_each_time_cannot_renew_by_itself(shop: World) -> None:
    session = await shop.session("subscription")
    asked = await shop.enter(session, "4000000000003220")
    await shop.browser.post(asked.headers["location"], data={"answer": "confirm"})
    await shop.settle()

    told = await shop.pass_time(days=367)

    assert "invoice.payment_action_required" in told
    assert "invoice.paid" not in told


async def test_a_month_from_the_thirty_first_is_clipped_and_not_chained() -> None:
    async with world(Terms(balance_delay=0)) as shop:
        shop.clock.instant = datetime(2028, 1, 31, 10, tzinfo=UTC)
        done = await shop.bought(
            "subscription",
            line_items=[
                {
                    "price_data": {
                        "currency": "usd",
                        "unit_amount": 300,
                        "product_data": {"name": "Month"},
                        "recurring": {"interval": "month"},
                    },
                    "quantity": 1,
                }
            ],
        )
        ends = [await end_of(shop, done.subscription)]
        for _ in range(3):
            await shop.pass_time(days=31)
            ends.append(await end_of(shop, done.subscription))
        assert ends == ["2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"]


async def test_a_year_from_the_leap_day_finds_the_leap_day_again(shop: World) -> None:
    shop.clock.instant = datetime(2028, 2, 29, 10, tzinfo=UTC)
    done = await shop.bought("subscription")
    ends = []
    for _ in range(4):
        ends.append(await end_of(shop, done.subscription))
        await shop.pass_time(days=366)
    assert ends == ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]


async def test_a_test_clock_moves_its_own_customers_only(shop: World) -> None:
    start = int(shop.clock.instant.timestamp())
    clock = await shop.stripe.v1.test_helpers.test_clocks.create_async({"frozen_time": start, "name": "a"})
    customer = await shop.stripe.v1.customers.create_async(
        {
            "test_clock": clock.id,
            "payment_method": "pm_card_visa",
            "invoice_settings": {"default_payment_method": "pm_card_visa"},
        }
    )
    product = await shop.stripe.v1.products.create_async({"name": "Year"})
    price = await shop.stripe.v1.prices.create_async(
        {"currency": "usd", "unit_amount": 2500, "product": product.id, "recurring": {"interval": "year"}}
    )
    made = await shop.stripe.v1.subscriptions.create_async(
        {"customer": customer.id, "items": [{"price": price.id}], "metadata": {"a": "b"}}
    )
    other = await shop.bought("subscription")
    await shop.settle()
    advancing = await shop.stripe.v1.test_helpers.test_clocks.advance_async(
        clock.id, {"frozen_time": start + 367 * 86400}
    )
    assert advancing.status == "advancing"
    assert (await shop.settle()).count("invoice.paid") == 1
    assert await end_of(shop, made.id) == "2029-03-15"
    assert await end_of(shop, other.subscription) == "2028-03-15"


async def test_a_trial_charges_nothing_until_its_end(shop: World) -> None:
    until = int(datetime(2027, 9, 1, tzinfo=UTC).timestamp())
    done = await shop.bought("subscription", subscription_data={"trial_end": until})
    assert done.payment_status in {"paid", "no_payment_required"}
    assert (await shop.stripe.v1.subscriptions.retrieve_async(done.subscription)).status == "trialing"
    await shop.settle()
    assert "invoice.paid" in await shop.pass_time(days=175)
    assert await end_of(shop, done.subscription) == "2028-09-01"


async def test_an_unpaid_first_invoice_expires_after_a_day(shop: World) -> None:
    customer = await shop.stripe.v1.customers.create_async({"payment_method": "pm_card_visa"})
    product = await shop.stripe.v1.products.create_async({"name": "Year"})
    data: Any = {
        "currency": "usd",
        "unit_amount": 2500,
        "product": product.id,
        "recurring": {"interval": "year"},
    }
    made = await shop.stripe.v1.subscriptions.create_async(
        {
            "customer": customer.id,
            "items": [{"price_data": data}],
            "payment_behavior": "default_incomplete",
            "expand": ["latest_invoice.payments"],
        }
    )
    invoice: Any = made.latest_invoice
    assert (made.status, invoice.status, invoice.payments.data[0].status) == ("incomplete", "open", "open")
    await shop.settle()
    assert await shop.pass_time(days=1) == [
        "payment_intent.canceled",
        "invoice.voided",
        "customer.subscription.updated",
    ]
    assert (await shop.stripe.v1.subscriptions.retrieve_async(made.id)).status == "incomplete_expired"


async def test_a_trial_moves_the_next_charge_and_prorates_nothing(shop: World) -> None:
    done = await shop.bought("subscription")
    until = int(datetime(2028, 2, 1, tzinfo=UTC).timestamp())
    moved = await shop.stripe.v1.subscriptions.update_async(
        done.subscription, {"trial_end": until, "proration_behavior": "none"}
    )
    assert (moved.status, moved.billing_cycle_anchor) == ("trialing", until)
    assert await end_of(shop, done.subscription) == "2028-02-01"
    newest = (await shop.stripe.v1.invoices.list_async()).data[0]
    assert (newest.billing_reason, newest.amount_due, newest.status) == ("subscription_update", 0, "paid")
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.subscriptions.update_async(
            done.subscription, {"trial_end": 1, "proration_behavior": "none"}
        )
    await shop.pass_time(days=325)
    assert await end_of(shop, done.subscription) == "2029-02-01"
    newest = (await shop.stripe.v1.invoices.list_async()).data[0]
    assert (newest.billing_reason, newest.amount_paid) == ("subscription_cycle", 2500)
