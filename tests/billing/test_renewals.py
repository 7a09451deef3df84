import json
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from api.sandbox import Fault
from coop.billing import (
    choices,
    declines,
    gaps,
    operations,
    reconciliation,
    subscriptions,
    withdrawal,
)
from coop.billing.choices import YearHasEnded
from coop.billing.gateway import Renewal
from coop.billing.intents import Checkout
from coop.billing.payments import Payment
from coop.billing.subscriptions import ENDED, Subscription, planned
from coop.identity.accounts import Account
from coop.ledger import POOL, RESERVED
from coop.membership import renewal
from coop.membership.events import TermBegan
from coop.money import Money
from coop.outbox import OutboxMessage
from tests.till import Till


async def letters(till: Till, subject: str) -> int:
    async with till.units.read() as work:
        rows = await work.session.scalars(select(OutboxMessage).where(OutboxMessage.kind == "Letter"))
        return sum(subject.encode() in row.payload for row in rows)


async def test_an_automatic_renewal_begins_the_next_year_where_the_last_one_ends(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)

    till.clock.advance(timedelta(days=366))
    await till.sandbox.settle()

    first, second = await till.terms_of(ada.id)
    assert second.begins == first.ends
    assert await till.count(Payment) == 2
    assert (await till.books())["DeferredDues"] == 5000


async def test_a_renewal_that_nobody_told_of_is_found_by_the_hourly_job(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    async with till.withheld():
        till.clock.advance(timedelta(days=366))
        await till.sandbox.settle()
    assert len(await till.terms_of(ada.id)) == 1

    await reconciliation.run(till.units, till.gateway)
    await reconciliation.run(till.units, till.gateway)

    assert len(await till.terms_of(ada.id)) == 2
    assert await till.count(Payment) == 2


async def test_a_stopped_renewal_charges_nothing_more(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    till.clock.advance(timedelta(days=100))

    await withdrawal.stop(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)
    assert await till.state(ada) == "active"
    till.clock.advance(timedelta(days=400))
    await till.sandbox.settle()

    assert await till.count(Payment) == 1
    assert await letters(till, "Your renewal is stopped") == 1


async def test_a_stop_whose_message_was_lost_is_carried_out_later(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await till.sandbox.arm(Fault(kind="closed", match="/v1/subscriptions*", times=1))

    await withdrawal.stop(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)
    await reconciliation.run(till.units, till.gateway)

    assert await till.count(Subscription, Subscription.stops.is_(True)) == 1


async def test_a_failed_card_is_told_plainly_and_success_in_grace_begins_at_the_old_end(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await till.sandbox.arm(Fault(kind="declined", times=1))

    till.clock.advance(timedelta(days=366))
    await till.sandbox.settle()
    assert await till.state(ada) == "grace"
    assert await letters(till, "Your card could not be charged") == 1
    till.clock.advance(timedelta(days=4))
    await till.sandbox.settle()

    first, second = await till.terms_of(ada.id)
    assert second.begins == first.ends
    assert await till.state(ada) == "active"


async def test_the_pools_part_of_a_renewal_is_kept_at_the_first_notice(till: Till) -> None:
    await till.sponsor(3000)
    ada = await till.person()
    await till.pay(ada, 1000, automatic=True)

    till.clock.advance(timedelta(days=334))
    assert await gaps.keep_due(till.units) == 0
    till.clock.advance(timedelta(days=2))
    assert await gaps.keep_due(till.units) == 1
    async with till.units.read() as work:
        assert await gaps.count_due(work) == 0
    assert await gaps.keep_due(till.units) == 0
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (0, 1500)
    till.clock.advance(timedelta(days=30))
    await till.sandbox.settle()

    assert len(await till.terms_of(ada.id)) == 2
    assert await till.balance(RESERVED) == 0


async def test_a_gap_still_unreserved_three_days_before_the_end_is_not_charged_and_the_member_queues(
    till: Till,
) -> None:
    await till.sponsor(1500)
    ada = await till.person()
    await till.pay(ada, 1000, automatic=True)
    till.clock.advance(timedelta(days=340))
    await announce(till)
    assert await till.count(Subscription, Subscription.wish == "renew") == 1

    till.clock.advance(timedelta(days=23))
    await announce(till)
    await reconciliation.run(till.units, till.gateway)
    till.clock.advance(timedelta(days=10))
    await till.sandbox.settle()

    assert await till.count(Payment, Payment.purpose == "dues") == 1
    bills = await till.sandbox.run(lambda desk: desk.where("invoice", billing_reason="subscription_cycle"))
    assert [bill["status"] for bill in bills] == ["void"]
    place = await till.place(ada)
    assert place is not None
    assert (place.state, place.contribution) == ("queued", Money(1000))
    assert await letters(till, "Nothing will be charged for your next year for now") == 1


async def test_what_could_not_be_announced_is_not_charged(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    async with till.units.open() as work:
        (await work.session.get_one(Account, ada.id)).email_verified_at = None

    till.clock.advance(timedelta(days=363))
    await announce(till)
    await reconciliation.run(till.units, till.gateway)
    till.clock.advance(timedelta(days=10))
    await till.sandbox.settle()

    assert await till.count(Payment) == 1


async def announce(till: Till) -> None:
    await renewal.remind_due(till.units, planned)
    await gaps.keep_due(till.units)


async def decide(till: Till, account: Account, what: choices.What, cents: int = 0) -> None:
    await choices.change(
        till.units, till.gateway, account_id=account.id, what=what, key=uuid4().hex, amount=Money(cents)
    )


async def test_another_amount_is_charged_from_the_next_year_on(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)

    await decide(till, ada, "amount", 4000)
    await till.sandbox.settle()
    till.clock.advance(timedelta(days=366))
    await till.sandbox.settle()

    assert await till.count(Payment, Payment.amount == Money(4000)) == 1
    assert (await till.books())["Pool"] == 1500
    assert await letters(till, "Your renewal was changed") == 1


async def test_who_chooses_less_after_the_notice_has_the_gap_kept_at_once(till: Till) -> None:
    await till.sponsor(3000)
    ada = await till.person()
    await till.pay(ada, automatic=True)
    till.clock.advance(timedelta(days=340))
    await announce(till)

    await decide(till, ada, "amount", 1000)
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (1500, 1500)
    await decide(till, ada, "amount", 2000)
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (2500, 500)
    await decide(till, ada, "amount", 2500)
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (3000, 0)


async def test_a_pause_charges_nothing_until_it_is_taken_up_again(till: Till) -> None:
    await till.sponsor(1500)
    ada = await till.person()
    await till.pay(ada, 1000, automatic=True)
    await till.sponsor(1500, "heidi")
    till.clock.advance(timedelta(days=340))
    await announce(till)
    assert await till.balance(RESERVED) == 1500

    await decide(till, ada, "pause")
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (1500, 0)
    await till.sandbox.settle()
    till.clock.advance(timedelta(days=24))
    await decide(till, ada, "resume")
    await reconciliation.run(till.units, till.gateway)
    assert await till.balance(RESERVED) == 1500
    till.clock.advance(timedelta(days=3))
    await till.sandbox.settle()

    assert len(await till.terms_of(ada.id)) == 2


async def test_a_pause_over_the_end_of_the_year_charges_nothing(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)

    await decide(till, ada, "pause")
    till.clock.advance(timedelta(days=366))
    await till.sandbox.settle()

    assert await till.count(Payment) == 1
    with pytest.raises(YearHasEnded):
        await decide(till, ada, "resume")
    await till.pay(ada)
    await look_again(till, ada)
    assert await till.count(Subscription, Subscription.status.not_in(ENDED)) == 0


async def test_cancel_and_renewal_in_the_same_second_charge_nothing(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    # The year is over for the processor, whose invoice is a draft for an hour, when the word to stop arrives.
    till.clock.advance(timedelta(days=365, minutes=1))
    await till.sandbox.settle()

    await withdrawal.stop(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)
    till.clock.advance(timedelta(days=30))
    await till.sandbox.settle()

    assert await till.count(Payment) == 1


async def test_a_charge_that_crossed_a_stop_goes_back_by_itself(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    async with till.withheld():
        till.clock.advance(timedelta(days=365, hours=2))
        await till.sandbox.settle()
    # Charged, but nobody has told us, when the member stops and reads that nothing more will be charged.
    async with till.units.open() as work:
        await subscriptions.wish(work, ada.id, "stop")

    await reconciliation.run(till.units, till.gateway)
    await reconciliation.run(till.units, till.gateway)

    assert len(await till.terms_of(ada.id)) == 1
    assert await till.count(Payment, Payment.refunded == Money(2500)) == 1


@pytest.mark.parametrize("code", ["insufficient_funds", "expired_card", "stolen_card", None])
@pytest.mark.parametrize("locale", ["en", "pl", "fr"])
def test_every_reason_is_told_in_plain_words_and_suspicions_are_not(code: str | None, locale: str) -> None:
    told = declines.plain(code, locale)

    assert told.endswith(".")
    if code in {"stolen_card", None}:
        assert told == declines.plain("generic_decline", locale)


async def test_three_tries_over_two_weeks_each_told_with_the_offer_of_a_sponsored_place(till: Till) -> None:
    await till.sponsor(2500)
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await till.sandbox.arm(Fault(kind="declined", times=10))

    for days in (366, 4, 6, 7):
        till.clock.advance(timedelta(days=days))
        await till.sandbox.settle()

    assert await letters(till, "Your card could not be charged") == 4
    assert await letters(till, "it will not be tried again") == 1
    assert await letters(till, "There was not enough money on the card") + await letters(till, "/place") >= 4
    assert await till.state(ada) == "grace"
    # One button, and the year begins where the last one ended.
    await till.ask(ada)
    first, second = await till.terms_of(ada.id)
    assert second.begins == first.ends


async def test_a_place_given_while_a_card_is_tried_again_is_not_charged_for(till: Till) -> None:
    await till.sponsor(2500)
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await till.sandbox.arm(Fault(kind="declined", times=1))
    till.clock.advance(timedelta(days=366))
    await till.sandbox.settle()

    await till.ask(ada)
    await look_again(till, ada)
    till.clock.advance(timedelta(days=10))
    await till.sandbox.settle()

    assert await till.count(Payment, Payment.purpose == "dues") == 1
    assert await till.count(Subscription, Subscription.status == "canceled") == 1


async def look_again(till: Till, account: Account) -> None:
    """Do what the worker does after a year was granted."""
    newest = (await till.terms_of(account.id))[-1]
    async with till.units.open() as work:
        await subscriptions.look_again(work, TermBegan(account_id=account.id, term_id=newest.id))
    await subscriptions.carry_out_due(till.units, till.gateway)


@pytest.mark.parametrize("ahead", [-20, 40])
async def test_a_renewal_paid_early_or_in_grace_charges_next_when_its_year_ends(
    till: Till, ahead: int
) -> None:
    ada = await till.person()
    await till.pay(ada)
    till.clock.advance(timedelta(days=365 + ahead))
    await till.pay(ada, automatic=True)

    await look_again(till, ada)
    await till.sandbox.settle()

    ends = (await till.terms_of(ada.id))[-1].ends
    assert await till.count(Subscription, Subscription.next_charge == ends) == 1
    till.clock.advance(ends - till.clock.wall() + timedelta(hours=2))
    await till.sandbox.settle()
    assert await till.count(Payment) == 3
    assert len(await till.terms_of(ada.id)) == 3


async def test_who_pays_by_hand_ends_the_renewal_that_would_charge_as_well(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    till.clock.advance(timedelta(days=350))

    await till.pay(ada)
    await look_again(till, ada)
    till.clock.advance(timedelta(days=30))
    await till.sandbox.settle()

    assert await till.count(Payment) == 2


async def test_a_renewal_stopped_in_the_dashboard_is_not_taken_up_again(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await reconciliation.run(till.units, till.gateway)
    async with till.units.read() as work:
        living = await subscriptions.living(work, ada.id)
    assert living is not None
    stopped = Renewal(currency="usd", stops=True)
    await till.gateway.change_subscription(living.id, stopped)
    await till.sandbox.settle()

    await reconciliation.run(till.units, till.gateway)

    assert await till.count(Subscription, Subscription.wish == "stop", Subscription.stops.is_(True)) == 1


async def test_updated_to_active_before_a_late_created_incomplete_stays_active(till: Till) -> None:
    ada = await till.person()
    async with till.withheld() as sink:
        await till.pay(ada, automatic=True)
    told = {
        json.loads(body)["type"]: (body, signature)
        for body, signature in zip(sink.bodies, sink.signatures, strict=True)
    }

    for kind in (
        "checkout.session.completed",
        "customer.subscription.updated",
        "customer.subscription.created",
    ):
        assert (await till.told(*told[kind])).status_code == 200

    assert await till.count(Subscription, Subscription.status == "active") == 1


async def test_operations_are_forgotten_and_their_checkouts_stay_booked(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)
    assert await operations.forget_old(till.units) == 0

    till.clock.advance(timedelta(days=91))

    assert await operations.forget_old(till.units) == 1
    assert await till.count(Checkout, Checkout.state == "paid") == 1
