from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select

from api.sandbox import Fault
from coop.billing import reconciliation, renewals, withdrawal
from coop.billing.payments import Payment
from coop.billing.subscriptions import Subscription
from coop.ledger import POOL, RESERVED
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
    assert await letters(till, "Your card was declined") == 1
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
    assert await renewals.keep_gaps(till.units) == 0
    till.clock.advance(timedelta(days=2))
    assert await renewals.keep_gaps(till.units) == 1
    assert await renewals.keep_gaps(till.units) == 0
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (0, 1500)
    till.clock.advance(timedelta(days=30))
    await till.sandbox.settle()

    assert len(await till.terms_of(ada.id)) == 2
    assert await till.balance(RESERVED) == 0


async def test_a_renewal_without_the_pools_part_is_not_charged(till: Till) -> None:
    await till.sponsor(1500)
    ada = await till.person()
    await till.pay(ada, 1000, automatic=True)
    till.clock.advance(timedelta(days=340))
    await renewals.keep_gaps(till.units)
    assert await till.count(Subscription, Subscription.wish == "renew") == 1

    till.clock.advance(timedelta(days=23))
    await renewals.keep_gaps(till.units)
    await reconciliation.run(till.units, till.gateway)
    till.clock.advance(timedelta(days=10))
    await till.sandbox.settle()

    assert await till.count(Payment, Payment.purpose == "dues") == 1
    place = await till.place(ada)
    assert place is not None
    assert place.state == "queued"
