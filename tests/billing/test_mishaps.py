"""Mishaps that no other file is about: clocks that disagree, a process that dies between commit and answer, things that cross."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from api.sandbox.objects import disputes as at_stripe
from api.sandbox.objects import refunds as refunds_at_stripe
from coop import ledger
from coop.billing import reconciliation, withdrawal
from coop.billing.disputes import Dispute
from coop.billing.gateway import GatewayRefused
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.billing.stripe_events import StripeEvent
from coop.billing.withdrawal import TooLateToWithdraw
from coop.ledger import POOL, RESERVED, JournalEntry
from tests.till import Till

DISPUTED = "4000000000000259"


async def refunded(till: Till) -> list[int]:
    """Return what of each payment went back, in cents, the first payment first."""
    async with till.units.read() as work:
        paid = await work.session.scalars(select(Payment).order_by(Payment.received_at))
        return [one.refunded.minor for one in paid]


async def test_a_process_that_dies_after_the_commit_and_before_the_200_books_once(till: Till) -> None:
    ada = await till.person()
    async with till.withheld() as sink:
        # What is told below is booked, and the answer never reaches Stripe, which takes it for lost and tells again.
        sink.answers = [500] * 50
        await till.pay(ada)
    for body, signature in list(zip(sink.bodies, sink.signatures, strict=True)):
        assert (await till.told(body, signature)).status_code == 200
    booked, events = await till.books(), await till.count(StripeEvent)

    till.clock.advance(timedelta(minutes=5))
    await till.sandbox.settle()

    assert await till.books() == booked
    assert (await till.count(StripeEvent), await till.count(Payment)) == (events, 1)
    assert await till.sandbox.run(lambda desk: desk.store.select("event")) != []


@pytest.mark.parametrize("days", [-1, 1])
async def test_with_a_clock_that_is_a_day_off_the_hourly_job_books_what_no_webhook_could(
    till: Till, days: int
) -> None:
    ada = await till.person()
    till.sandbox.wall = lambda: till.clock.wall() + timedelta(days=days)
    await till.pay(ada)
    # Signed yesterday, or tomorrow: neither is believed.
    assert await till.state(ada) == "none"
    assert await till.count(StripeEvent) == 0

    await reconciliation.run(till.units, till.gateway)
    till.sandbox.wall = till.clock.wall
    till.clock.advance(timedelta(hours=3))
    await till.sandbox.settle()

    assert await till.state(ada) == "active"
    assert await till.count(Payment) == 1


@pytest.mark.parametrize("days", [-1, 1])
async def test_with_a_clock_that_is_a_day_off_no_page_opens_and_the_pool_keeps_nothing(
    till: Till, days: int
) -> None:
    await till.sponsor(1500)
    ada = await till.person()
    usual = till.sandbox.clock
    till.sandbox.clock = lambda: usual() + timedelta(days=days)

    with pytest.raises(GatewayRefused):
        await till.begin(ada, 1000)

    assert (await till.state(ada), await till.balance(RESERVED), await till.balance(POOL)) == (
        "none",
        0,
        1500,
    )
    till.sandbox.clock = usual
    await till.pay(ada, 1000)
    assert await till.state(ada) == "active"


async def test_a_refund_during_a_renewal_touches_neither_year(till: Till) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada, automatic=True)
    async with till.withheld():
        # The next year is charged, and nobody has told us, when a part of the last one is given back in the dashboard.
        till.clock.advance(timedelta(days=365, hours=2))
        await till.sandbox.settle()
        await till.sandbox.run(
            lambda desk: refunds_at_stripe.give_back(
                desk, min(desk.where("charge"), key=lambda one: one["created"]), 700, {}
            )
        )
        await till.sandbox.settle()

    await reconciliation.run(till.units, till.gateway)
    await till.work()

    first, second = await till.terms_of(ada.id)
    assert (second.begins, second.ended_early_at) == (first.ends, None)
    assert (await till.count(Payment), await till.count(Refund)) == (2, 1)
    assert (await till.books())["DeferredDues"] == 2500
    assert await refunded(till) == [700, 0]


async def test_a_withdrawal_that_crosses_a_renewal_gives_back_the_new_year_once_it_is_known(
    till: Till,
) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    async with till.withheld():
        till.clock.advance(timedelta(days=365, hours=2))
        await till.sandbox.settle()
    with pytest.raises(TooLateToWithdraw):
        # The old year is over, and of the new one nothing is known yet: there is nothing to give back.
        await withdrawal.withdraw(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)

    await reconciliation.run(till.units, till.gateway)
    await withdrawal.withdraw(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)
    await till.sandbox.settle()

    # The grace of the old year runs on.
    assert await till.state(ada) == "grace"
    assert await refunded(till) == [0, 2500]


@pytest.mark.parametrize("won", [False, True])
async def test_erasure_with_an_open_dispute_leaves_its_end_to_be_booked_and_nobody_to_be_found(
    till: Till, *, won: bool
) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada, card=DISPUTED)
    till.clock.advance(timedelta(hours=2))
    await till.sandbox.settle()
    async with till.units.open() as work:
        before = await ledger.references.of(work, ada.id)
        await ledger.references.erase(work, ada.id)

    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.where("dispute")[0], won=won))
    await till.sandbox.settle()

    assert await till.count(Dispute, Dispute.state == ("won" if won else "lost")) == 1
    assert "Disputed" not in await till.books()
    async with till.units.read() as work:
        entries = list(
            await work.session.scalars(
                select(JournalEntry)
                .where(JournalEntry.source == "dispute")
                .order_by(JournalEntry.recorded_at)
            )
        )
        assert await ledger.references.find(work, ada.id) != before
    # What was written before still stands under the reference that leads to nobody.
    assert [entry.person == before for entry in entries] == [True, False]
