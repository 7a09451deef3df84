"""Stripe's own command line as a witness: its fixtures, written by nobody here, run against the sandbox.

It comes from npm with the other test assets; where it is not installed, `conftest` leaves this file out.
"""

from pathlib import Path

import anyio
import pytest

from tests.sandbox.conftest import KEY, STRIPE_CLI, World

TRIGGERED = [
    "charge.dispute.created",
    "charge.refunded",
    "charge.succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.created",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.voided",
    "payment_intent.canceled",
    "payment_intent.created",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "payment_method.attached",
    "payment_method.detached",
    "price.created",
    "product.created",
    "setup_intent.created",
    "setup_intent.succeeded",
]


@pytest.mark.parametrize("event", TRIGGERED)
async def test_the_stripe_cli_triggers(shop: World, tmp_path: Path, event: str) -> None:
    command = [str(STRIPE_CLI[0]), "trigger", event, "--api-key", KEY, "--api-base", shop.url]
    environment = {"HOME": str(tmp_path), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}
    done = await anyio.run_process(command, env=environment, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert event in await shop.settle()
