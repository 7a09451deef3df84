from datetime import timedelta

from sqlalchemy import select

from coop.billing import old_places
from coop.billing.intents import Checkout
from coop.sponsorship import queue
from coop.sponsorship.places import Place
from tests.till import Till


async def test_requests_that_ended_are_forgotten_and_places_that_were_given_stay(till: Till) -> None:
    await till.sponsor(7500)
    ada, bob, eve = [await till.person(name) for name in ("ada", "bob", "eve")]
    assert (await till.ask(ada)).state == "begun"
    # Bob leaves his payment page, and takes the request back; Eve's still stands.
    await till.begin(bob, 1000)
    assert (await till.ask(eve, 500)).state == "offered"
    till.clock.advance(timedelta(days=2))
    await till.sandbox.settle()
    async with till.units.open() as work:
        await queue.withdraw(work, bob.id)
    assert await till.count(Place, Place.state == "closed", Place.account_id == bob.id) == 1

    till.clock.advance(old_places.KEPT - timedelta(hours=1))
    assert await old_places.forget_due(till.units) == 0
    till.clock.advance(timedelta(hours=2))
    async with till.units.open() as work:
        await queue.withdraw(work, eve.id)
    assert await old_places.forget_due(till.units) == 1

    assert await till.count(Place, Place.account_id == bob.id) == 0
    assert await till.count(Place, Place.account_id == ada.id, Place.state == "begun") == 1
    assert await till.count(Place, Place.account_id == eve.id) == 1
    async with till.units.read() as work:
        left = await work.session.scalars(select(Checkout.place_id).where(Checkout.account_id == bob.id))
        assert set(left) == {None}


async def test_the_worker_forgets_them_and_the_books_still_balance(till: Till) -> None:
    bob = await till.person("bob")
    for _ in range(3):
        await till.ask(bob)
        async with till.units.open() as work:
            await queue.withdraw(work, bob.id)
    till.clock.advance(old_places.KEPT + timedelta(days=1))

    await till.work()

    assert await till.count(Place) == 0
