"""Stripe's own command line as a witness: its fixtures, written by nobody here, run against the sandbox.

It comes from npm with the other test assets; where it is not installed, `conftest` leaves this file out. All fixtures run that
are about objects of which the cooperative has any. Left out are those about what it never asks for: captures by hand
(`charge.captured`, `payment_intent.amount_capturable_updated`), sources, transfers, the portal's configurations, coupons, quotes,
tax rates, schedules, plans and whatever is not payments; and `balance.available`, which comes two days after its fixture.
"""

from pathlib import Path

import anyio
import pytest

from tests.sandbox.conftest import KEY, STRIPE_CLI, World

TOLD = {
    "charge.refund.updated": "refund.updated",
    "subscription.payment_failed": "invoice.payment_failed",
    "subscription.payment_succeeded": "invoice.payment_succeeded",
}
"""What is told where the CLI's fixture bears an older name."""
LATER = {"checkout.session.async_payment_failed": 8, "checkout.session.async_payment_succeeded": 8}
"""How many days pass before it is told: a bank takes its time."""
TRIGGERED = """
    account.updated billing_portal.session.created
    charge.dispute.closed charge.dispute.created charge.dispute.updated charge.failed charge.refund.updated charge.refunded charge.succeeded
    checkout.session.async_payment_failed checkout.session.async_payment_succeeded checkout.session.completed checkout.session.expired
    customer.created customer.deleted customer.updated
    customer.subscription.created customer.subscription.deleted customer.subscription.paused
    customer.subscription.trial_will_end customer.subscription.updated
    invoice.created invoice.deleted invoice.finalized invoice.marked_uncollectible invoice.paid invoice.payment_action_required
    invoice.payment_failed invoice.payment_succeeded invoice.sent invoice.updated invoice.voided
    invoiceitem.created invoiceitem.deleted
    payment_intent.canceled payment_intent.created payment_intent.payment_failed payment_intent.processing
    payment_intent.requires_action payment_intent.succeeded
    payment_method.attached payment_method.detached payment_method.updated
    payout.created payout.updated price.created price.updated product.created product.deleted product.updated
    setup_intent.canceled setup_intent.created setup_intent.requires_action setup_intent.setup_failed setup_intent.succeeded
    subscription.payment_failed subscription.payment_succeeded
    test_helpers.test_clock.advancing test_helpers.test_clock.created test_helpers.test_clock.deleted test_helpers.test_clock.ready
""".split()


@pytest.mark.parametrize("event", TRIGGERED)
async def test_the_stripe_cli_triggers(shop: World, tmp_path: Path, event: str) -> None:
    command = [str(STRIPE_CLI[0]), "trigger", event, "--api-key", KEY, "--api-base", shop.url]
    environment = {"HOME": str(tmp_path), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}
    done = await anyio.run_process(command, env=environment, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    told = await shop.settle()
    if event in LATER:
        told += await shop.pass_time(days=LATER[event])
    assert TOLD.get(event, event) in told
