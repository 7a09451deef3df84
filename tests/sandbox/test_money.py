# ruff: noqa: ANN401 - what Stripe returns is typed loosely
"""Money after the payment: refunds, disputes, the balance, transfers, payouts, invoices by hand."""

from typing import Any

import pytest
import stripe

from api.sandbox import Terms
from tests.sandbox.conftest import World, world


async def charge_of(shop: World, number: str = "4242424242424242", amount: int = 2500) -> Any:
    done = await shop.bought(number=number, amount=amount)
    return (await shop.stripe.v1.charges.list_async({"payment_intent": done.payment_intent})).data[0]


async def test_refunds_come_in_parts_and_never_exceed_the_charge(shop: World) -> None:
    charge = await charge_of(shop)
    refunds = shop.stripe.v1.refunds
    first = await refunds.create_async({"charge": charge.id, "amount": 1000, "metadata": {"operation": "r"}})
    with pytest.raises(stripe.InvalidRequestError):
        await refunds.create_async({"charge": charge.id, "amount": 1501})
    await refunds.create_async({"payment_intent": charge.payment_intent, "amount": 1500})
    with pytest.raises(stripe.InvalidRequestError) as again:
        await refunds.create_async({"charge": charge.id})
    assert again.value.code == "charge_already_refunded"
    after = await shop.stripe.v1.charges.retrieve_async(charge.id, {"expand": ["refunds"]})
    assert (after.amount_refunded, after.refunded) == (2500, True)
    assert after.refunds is not None
    assert [one.amount for one in after.refunds.data] == [1500, 1000]
    entry = await shop.stripe.v1.balance_transactions.retrieve_async(str(first.balance_transaction))
    assert (entry.type, entry.amount, entry.fee, entry.net) == ("refund", -1000, 0, -1000)


async def test_a_refund_tells_its_story_in_order(shop: World) -> None:
    charge = await charge_of(shop)
    await shop.settle()
    await shop.stripe.v1.refunds.create_async({"charge": charge.id})
    assert await shop.settle() == ["refund.created", "charge.refunded"]


async def test_a_disputing_card_takes_the_money_and_the_fee(shop: World) -> None:
    session = await shop.session()
    await shop.settle()
    await shop.enter(session, "4000000000000259")
    assert (await shop.settle())[-3:] == [
        "charge.updated",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    ]
    dispute = (await shop.stripe.v1.disputes.list_async()).data[0]
    assert (dispute.amount, dispute.reason, dispute.status) == (2500, "fraudulent", "needs_response")
    assert [(one.amount, one.fee) for one in dispute.balance_transactions] == [(-2500, 1500)]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.stripe.v1.refunds.create_async({"charge": str(dispute.charge)})
    assert refused.value.code == "charge_disputed"


@pytest.mark.parametrize(
    ("evidence", "status", "events", "sums"),
    [
        (
            "winning_evidence",
            "won",
            ["charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_reinstated"],
            [-2500, 2500],
        ),
        ("losing_evidence", "lost", ["charge.dispute.updated", "charge.dispute.closed"], [-2500]),
    ],
)
async def test_a_dispute_is_won_or_lost_by_its_evidence(
    shop: World, evidence: str, status: str, events: list[str], sums: list[int]
) -> None:
    await charge_of(shop, "4000000000000259")
    await shop.settle()
    dispute = (await shop.stripe.v1.disputes.list_async()).data[0]
    await shop.stripe.v1.disputes.update_async(dispute.id, {"evidence": {"uncategorized_text": evidence}})
    assert await shop.settle() == events
    closed = await shop.stripe.v1.disputes.retrieve_async(dispute.id)
    assert closed.status == status
    assert [one.amount for one in closed.balance_transactions] == sums
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.disputes.close_async(dispute.id)


async def test_after_a_part_was_given_back_only_the_rest_can_be_disputed() -> None:
    async with world(Terms(balance_delay=0, dispute_delay=3600)) as shop:
        charge = await charge_of(shop, "4000000000000259")
        await shop.stripe.v1.refunds.create_async({"charge": charge.id, "amount": 1000})
        await shop.pass_time(hours=1)
        assert (await shop.stripe.v1.disputes.list_async()).data[0].amount == 1500


async def test_the_balance_is_the_sum_of_what_stripe_says_is_net(shop: World) -> None:
    for amount in (2500, 4000, 1000):
        await charge_of(shop, amount=amount)
    charge = await charge_of(shop, "4000000000000259")
    await shop.stripe.v1.refunds.create_async({"charge": (await charge_of(shop)).id, "amount": 700})
    entries = [
        one async for one in (await shop.stripe.v1.balance_transactions.list_async()).auto_paging_iter()
    ]
    balance = await shop.stripe.v1.balance.retrieve_async()
    assert sum(one.net for one in entries) == balance.available[0].amount + balance.pending[0].amount
    assert charge.amount == 2500


async def test_money_is_pending_for_two_days_and_then_available(shop: World) -> None:
    await charge_of(shop)
    before = await shop.stripe.v1.balance.retrieve_async()
    await shop.pass_time(days=2)
    after = await shop.stripe.v1.balance.retrieve_async()
    assert (before.pending[0].amount, before.available[0].amount) == (2397, 0)
    assert (after.pending[0].amount, after.available[0].amount) == (0, 2397)


async def test_the_balance_transaction_comes_a_second_later_by_default() -> None:
    async with world(Terms()) as shop:
        charge = await charge_of(shop)
        assert charge.balance_transaction is None
        assert "charge.updated" not in await shop.settle()
        assert await shop.pass_time(seconds=1) == ["charge.updated"]


async def ready_account(shop: World) -> str:
    account = await shop.stripe.v1.accounts.create_async(
        {"country": "US", "email": "a@b.example", "capabilities": {"transfers": {"requested": True}}}
    )
    link = await shop.stripe.v1.account_links.create_async(
        {
            "account": account.id,
            "type": "account_onboarding",
            "refresh_url": "https://n.example/again",
            "return_url": "https://n.example/done",
        }
    )
    assert "Finish" in (await shop.browser.get(link.url)).text
    assert (await shop.browser.post(link.url)).headers["location"] == "https://n.example/done"
    assert (await shop.stripe.v1.accounts.retrieve_async(account.id)).payouts_enabled
    return account.id


async def test_a_transfer_reaches_a_network_and_a_wrong_one_comes_back(shop: World) -> None:
    account = await ready_account(shop)
    await charge_of(shop, "4000000000000077")
    transfers = shop.stripe.v1.transfers
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await transfers.create_async({"amount": 2398, "currency": "usd", "destination": account})
    assert refused.value.code == "balance_insufficient"
    await shop.settle()
    made = await transfers.create_async({"amount": 1500, "currency": "usd", "destination": account})
    theirs = await shop.stripe.v1.balance.retrieve_async(None, {"stripe_account": account})
    assert theirs.available[0].amount == 1500
    back = await shop.stripe.v1.transfers.reversals.create_async(made.id, {"amount": 500})
    assert back.transfer == made.id
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.transfers.reversals.create_async(made.id, {"amount": 1001})
    after = await transfers.retrieve_async(made.id)
    assert (after.amount_reversed, after.reversed) == (500, False)
    assert len((await shop.stripe.v1.transfers.reversals.list_async(made.id)).data) == 1
    assert await shop.settle() == ["transfer.created", "transfer.reversed"]
    ours = await shop.stripe.v1.balance.retrieve_async()
    assert ours.available[0].amount == 2397 - 1000


async def test_an_account_that_is_not_ready_receives_nothing(shop: World) -> None:
    account = await shop.stripe.v1.accounts.create_async({"country": "US"})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.stripe.v1.transfers.create_async(
            {"amount": 1, "currency": "usd", "destination": account.id}
        )
    assert refused.value.code == "insufficient_capabilities_for_transfer"


async def test_a_payout_leaves_the_balance_and_arrives(shop: World) -> None:
    await charge_of(shop, "4000000000000077")
    await shop.settle()
    payout = await shop.stripe.v1.payouts.create_async({"amount": 2000, "currency": "usd"})
    assert payout.status == "pending"
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.payouts.create_async({"amount": 398, "currency": "usd"})
    assert await shop.pass_time(days=2) == ["payout.created", "payout.paid"]
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.payouts.cancel_async(payout.id)


async def test_an_invoice_by_hand_is_drafted_finalized_and_paid(shop: World) -> None:
    customer = await shop.stripe.v1.customers.create_async({"payment_method": "pm_card_visa"})
    method = (await shop.stripe.v1.payment_methods.list_async({"customer": customer.id})).data[0]
    draft = await shop.stripe.v1.invoices.create_async({"customer": customer.id, "metadata": {"a": "b"}})
    await shop.stripe.v1.invoice_items.create_async(
        {
            "customer": customer.id,
            "amount": 5000,
            "currency": "usd",
            "invoice": draft.id,
            "description": "Organisation",
        }
    )
    opened = await shop.stripe.v1.invoices.finalize_invoice_async(draft.id)
    assert (opened.status, opened.amount_due) == ("open", 5000)
    paid = await shop.stripe.v1.invoices.pay_async(
        draft.id, {"payment_method": method.id, "expand": ["payments.data.payment.payment_intent"]}
    )
    payments: Any = paid.payments
    assert paid.status == "paid"
    assert payments.data[0].payment.payment_intent.amount_received == 5000
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.invoices.void_invoice_async(draft.id)


async def test_a_void_invoice_can_no_longer_be_paid(shop: World) -> None:
    customer = await shop.stripe.v1.customers.create_async({"payment_method": "pm_card_visa"})
    await shop.stripe.v1.invoice_items.create_async(
        {"customer": customer.id, "amount": 500, "currency": "usd"}
    )
    draft = await shop.stripe.v1.invoices.create_async(
        {"customer": customer.id, "pending_invoice_items_behavior": "include"}
    )
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.invoices.void_invoice_async(draft.id)
    await shop.stripe.v1.invoices.finalize_invoice_async(draft.id)
    assert (await shop.stripe.v1.invoices.void_invoice_async(draft.id)).status == "void"
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.v1.invoices.pay_async(draft.id, {"payment_method": "pm_card_visa"})


async def test_the_portal_stops_renewal_and_changes_the_card(shop: World) -> None:
    done = await shop.bought("subscription")
    portal = await shop.stripe.v1.billing_portal.sessions.create_async(
        {"customer": done.customer, "return_url": "https://coop.example/account"}
    )
    assert "Renews on 15 March 2028" in (await shop.browser.get(portal.url)).text
    await shop.browser.post(portal.url, data={"subscription": done.subscription, "answer": "stop"})
    assert "Ends on 15 March 2028" in (await shop.browser.get(portal.url)).text
    await shop.browser.post(portal.url, data={"number": "5555555555554444", "expiry": "1/40", "cvc": "123"})
    customer = await shop.stripe.v1.customers.retrieve_async(
        done.customer, {"expand": ["invoice_settings.default_payment_method", "subscriptions"]}
    )
    settings: Any = customer.invoice_settings
    assert settings.default_payment_method.card.last4 == "4444"
    assert (await shop.stripe.v1.subscriptions.retrieve_async(done.subscription)).cancel_at_period_end


async def test_intents_set_up_pay_ask_and_are_cancelled(shop: World) -> None:
    customer = await shop.stripe.v1.customers.create_async()
    setup = await shop.stripe.v1.setup_intents.create_async(
        {"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True}
    )
    assert setup.status == "succeeded"
    paid = await shop.stripe.v1.payment_intents.create_async(
        {
            "amount": 900,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": str(setup.payment_method),
            "off_session": True,
            "confirm": True,
        }
    )
    assert (paid.status, paid.amount_received) == ("succeeded", 900)
    with pytest.raises(stripe.CardError) as asked:
        await shop.stripe.v1.payment_intents.create_async(
            {
                "amount": 900,
                "currency": "usd",
                "payment_method": "pm_card_authenticationRequired",
                "off_session": True,
                "confirm": True,
            }
        )
    assert asked.value.code == "authentication_required"
    waiting = await shop.stripe.v1.payment_intents.create_async({"amount": 900, "currency": "usd"})
    cancelled = await shop.stripe.v1.payment_intents.cancel_async(
        waiting.id, {"cancellation_reason": "abandoned"}
    )
    assert cancelled.status == "canceled"


async def test_a_deleted_customer_is_gone_with_what_they_had(shop: World) -> None:
    done = await shop.bought("subscription")
    await shop.stripe.v1.customers.delete_async(done.customer)
    assert (await shop.stripe.v1.subscriptions.retrieve_async(done.subscription)).status == "canceled"
    assert (await shop.stripe.v1.customers.retrieve_async(done.customer)).deleted
    with pytest.raises(stripe.InvalidRequestError):
        await shop.session(customer=done.customer)
