from datetime import timedelta
from uuid import uuid4

import anyio
import httpx
import msgspec
import pytest

from coop.billing import old_places, withdrawal
from coop.billing.payments import Payment
from coop.clock import FixedClock
from coop.identity.accounts import Account
from coop.ledger import POOL, RESERVED
from coop.membership.terms import Term
from coop.money import Money
from coop.policies import Pool
from coop.settings import Settings
from coop.sponsorship import gifts, outlook, places, pool, queue, runs
from coop.sponsorship.limits import AddressUsed, AlreadyMember, EmailNeeded
from coop.sponsorship.places import Place
from coop.sponsorship.pool import PoolEmpty
from coop.unit_of_work import Units
from tests.till import Till


async def test_of_forty_who_ask_at_once_four_begin_and_nobody_is_charged(till: Till) -> None:
    await till.sponsor(10_000)
    people = [await till.person(f"asker{number:02}") for number in range(40)]

    async def ask(number: int) -> None:
        async with till.visitor(people[number]) as page:
            answer = httpx.Response(503)
            while answer.status_code == 503:
                answer = await page.post("/place", data={})
            assert answer.status_code == 303, answer.text

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(ask, number)

    assert await till.count(Term) == 4
    assert await till.count(Place, Place.state == "queued") == 36
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (0, 0)
    assert await till.count(Payment, Payment.purpose == "dues") == 0
    async with till.units.read() as work:
        waiting = [place for person in people if (place := await places.open_place(work, person.id))]
        positions = sorted([(await outlook.where(work, place)).position for place in waiting])
        expected = [(await outlook.where(work, place)).expected for place in waiting]
    assert positions == list(range(1, 37))
    assert all(expected)


async def test_nobody_is_overtaken_by_a_smaller_gap(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    await till.ask(ada)
    till.clock.advance(timedelta(minutes=1))
    await till.ask(bob, 2000)

    await till.sponsor(1000)

    assert (await till.state(ada), await till.state(bob)) == ("none", "none")
    assert await till.balance(POOL) == 1000


async def test_a_place_begins_as_soon_as_the_pool_covers_it(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    await till.ask(ada)
    till.clock.advance(timedelta(minutes=1))
    await till.ask(bob)

    await till.sponsor(2500)

    assert (await till.state(ada), await till.state(bob)) == ("active", "none")


async def test_asking_twice_is_asking_once(till: Till) -> None:
    ada = await till.person()

    first = await till.ask(ada)
    again = await till.ask(ada)

    assert first.id == again.id


async def test_changing_ones_own_part_keeps_the_place_in_the_line(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    first = await till.ask(ada)
    till.clock.advance(timedelta(minutes=1))
    await till.ask(bob)

    changed = await till.ask(ada, 500)

    assert (changed.id, changed.asked_at, changed.contribution) == (first.id, first.asked_at, Money(500))


async def test_a_first_place_needs_a_confirmed_address(till: Till) -> None:
    with pytest.raises(EmailNeeded):
        await till.ask(await till.person(verified=False))


async def test_a_member_with_a_long_year_ahead_asks_for_nothing(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)

    with pytest.raises(AlreadyMember):
        await till.ask(ada)


async def test_an_address_serves_one_account_with_a_first_place(till: Till) -> None:
    await till.sponsor(10_000)
    ada, bob = await till.person(), await till.person("bob")
    await till.ask(ada)
    async with till.units.open() as work:
        (await work.session.get_one(Account, ada.id)).email = None
        await work.session.flush()
        (await work.session.get_one(Account, bob.id)).email = "ada@example.org"

    with pytest.raises(AddressUsed):
        await till.ask(bob)
    async with till.visitor(bob) as page:
        refused = await page.post("/place", data={})
        in_part = await page.post("/join", data={"amount": "5.00", "key": uuid4().hex})
    assert (refused.status_code, in_part.status_code) == (409, 409)
    assert "Another account has a first place" in refused.text
    await till.pay(bob)
    assert await till.state(bob) == "active"
    # What is of no use any more is forgotten.
    till.clock.advance(old_places.ADDRESS_KEPT + timedelta(days=1))
    await old_places.forget_due(till.units)
    assert await till.count(Place, Place.address.is_not(None)) == 0


async def test_first_places_are_capped_by_the_month(till: Till) -> None:
    await till.adopt(Pool, max_new_places_month=1)
    await till.sponsor(10_000)
    ada, bob = await till.person(), await till.person("bob")

    assert (await till.ask(ada)).state == "begun"
    assert (await till.ask(bob)).state == "queued"

    till.clock.advance(timedelta(days=31))
    await runs.grant_due(till.units)
    assert await till.state(bob) == "active"


@pytest.mark.parametrize("way", ["paid", "gift", "place"])
async def test_a_year_that_was_given_back_makes_nobody_a_member_of_before(till: Till, way: str) -> None:
    ada = await till.person(verified=way == "place")
    await till.sponsor(5000)
    match way:
        case "paid":
            await till.pay(ada)
        case "gift":
            await till.pay(ada, purpose="gift")
            async with till.units.read() as work:
                (gift,) = await gifts.given_by(work, ada.id)
            await till.claim(ada, gift)
        case _:
            await till.ask(ada)
    await withdrawal.withdraw(till.units, till.gateway, account_id=ada.id, key="given-back")
    assert await till.state(ada) == "none"

    if way != "place":
        with pytest.raises(EmailNeeded):
            await till.ask(ada)
        return
    assert (await till.ask(ada)).first
    async with till.units.read() as work:
        # It is one person all the same.
        assert await queue.first_places_this_month(work) == 1


async def test_places_begin_at_a_random_time_within_the_delay(
    settings: Settings, clock: FixedClock, till: Till
) -> None:
    await till.sponsor(2500)
    ada = await till.person()
    slow = Units(msgspec.structs.replace(settings, sponsorship_delay_hours=24), clock)
    async with slow.open() as work:
        place = await queue.ask(work, ada.id)
    await slow.close()

    assert place.state in {"awarded", "begun"}
    assert place.due_at is not None
    assert clock.instant <= place.due_at <= clock.instant + timedelta(hours=24)
    clock.advance(timedelta(hours=25))
    await runs.begin_due(till.units)
    assert await till.state(ada) == "active"
    assert await till.balance(RESERVED) == 0


async def test_an_offer_from_the_queue_stands_for_its_days_and_then_goes_on(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    await till.ask(ada, 1000)
    till.clock.advance(timedelta(minutes=1))
    await till.ask(bob, 1000)
    await till.sponsor(1500)
    place = await till.place(ada)
    assert place is not None
    assert place.state == "offered"

    till.clock.advance(timedelta(days=6))
    await runs.grant_due(till.units)
    assert (await till.place(ada)) is not None
    till.clock.advance(timedelta(days=2))
    await runs.grant_due(till.units)

    assert await till.place(ada) is None
    offered = await till.place(bob)
    assert offered is not None
    assert offered.state == "offered"
    await till.pay(bob, 1000)
    assert await till.state(bob) == "active"


async def test_a_checkout_that_is_given_up_leaves_the_queues_offer_standing(till: Till) -> None:
    ada = await till.person()
    await till.ask(ada, 1000)
    await till.sponsor(1500)
    await till.begin(ada, 1000)

    till.clock.advance(timedelta(hours=25))
    await till.sandbox.settle()

    place = await till.place(ada)
    assert place is not None
    assert (place.state, place.held_until) == ("offered", None)
    assert await till.balance(RESERVED) == 1500


async def test_who_pays_the_whole_price_gives_the_offer_back(till: Till) -> None:
    ada = await till.person()
    await till.ask(ada, 1000)
    await till.sponsor(1500)

    url = await till.begin(ada, 2500)
    # Until the money is there, nothing is lost: they may still turn back.
    assert await till.balance(RESERVED) == 1500
    await till.enter(url)
    await till.sandbox.settle()
    await till.work()

    assert await till.state(ada) == "active"
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (1500, 0)


async def test_leaving_the_queue_keeps_nothing(till: Till) -> None:
    await till.sponsor(1500)
    ada = await till.person()
    async with till.visitor(ada) as page:
        await till.ask(ada, 1000)
        assert await till.balance(RESERVED) == 1500
        await page.post("/place/leave", data={})

    assert await till.balance(POOL) == 1500
    assert await till.place(ada) is None


async def test_two_units_never_keep_the_same_last_dollars(till: Till) -> None:
    await till.sponsor(2500)
    kept: list[str] = []

    async def keep(key: str) -> None:
        try:
            async with till.units.open() as work:
                await places.lock(work)
                await pool.reserve(work, Money(2500), key=key)
            kept.append(key)
        except PoolEmpty:
            return

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(keep, f"key{number}")

    assert len(kept) == 1
    async with till.units.open() as work:
        assert await pool.release(work, kept[0])
        assert not await pool.release(work, kept[0])
        assert await pool.spend(work, kept[0]) is None


async def test_paid_and_sponsored_leave_the_same_rows_outside_the_ledger(till: Till) -> None:
    await till.sponsor(2500)
    ada, bob = await till.person(), await till.person("bob")
    await till.pay(ada)
    await till.ask(bob)

    (paid,), (given,) = await till.terms_of(ada.id), await till.terms_of(bob.id)
    for column in (
        "ordinal",
        "first_day",
        "year",
        "begins",
        "ends",
        "grace_until",
        "price",
        "policy_version",
    ):
        assert getattr(paid, column) == getattr(given, column), column


async def test_no_date_is_promised_where_nothing_came_in(till: Till) -> None:
    place = await till.ask(await till.person())

    async with till.units.read() as work:
        where = await outlook.where(work, place)

    assert (where.position, where.expected) == (1, None)


async def test_a_member_in_the_last_month_may_ask_for_the_next_year(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)
    till.clock.advance(timedelta(days=340))
    await till.sponsor(2500)

    await till.ask(ada)

    assert len(await till.terms_of(ada.id)) == 2
