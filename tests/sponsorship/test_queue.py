"""The order of the queue under everything that people and banks do meanwhile."""

import re
from datetime import timedelta

import pytest

from coop.billing import checkout, credit, intents, refunds
from coop.billing.intents import PaymentUnderWay
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.identity.accounts import Account
from coop.ledger import MEMBER_CREDIT, POOL, RESERVED
from coop.money import ZERO, Money
from coop.policies import Dues
from coop.sponsorship import places, queue, runs
from coop.sponsorship.places import Place
from tests.membership.test_households import accept, invitation
from tests.till import Till

SLOW = "000123456789"
"""A bank account, which pays after some days."""
RETURNS = "000222222227"


async def last(till: Till, account: Account) -> Place:
    """Return somebody's newest request."""
    async with till.units.read() as work:
        found = await places.latest(work, account.id)
    assert found is not None
    return found


def subjects(till: Till, handle: str) -> list[str]:
    """Return what somebody was written about."""
    return [letter.subject for letter in till.postbox.letters if letter.to == f"{handle}@example.org"]


async def money_too_late(till: Till, account: Account, cents: int) -> None:
    """Pay on a page whose reservation was taken back meanwhile."""
    url = await till.begin(account, cents)
    await till.enter(url)
    async with till.units.open() as work:
        row = await intents.live(work, account.id)
        assert row is not None
        await checkout._expire(work, row.id)


async def test_whoever_would_rather_pay_another_part_keeps_their_turn_and_their_day(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    asked = await till.ask(ada, 1000)
    await till.sponsor(1500)
    offer = await last(till, ada)
    till.clock.advance(timedelta(days=3))
    await till.ask(bob)

    again = await till.ask(ada, 1500)

    assert (again.state, again.asked_at, again.due_at) == ("offered", asked.asked_at, offer.due_at)
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (500, 1000)
    less = await till.ask(ada, 500)
    assert (less.state, less.asked_at) == ("queued", asked.asked_at)
    assert await till.balance(POOL) == 1500


async def test_an_offer_whose_days_are_over_is_nobodys_any_more(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    for person in (ada, bob):
        await till.ask(person, 1000)
        till.clock.advance(timedelta(minutes=1))
    await till.sponsor(1500)
    till.clock.advance(timedelta(days=7))

    # No job has run yet; the first comer of that day is the owner of the late offer.
    again = await till.ask(ada, 1000)

    assert (again.state, (await last(till, bob)).state) == ("queued", "offered")
    await till.work()
    assert "Your membership can begin" in subjects(till, "bob")


async def test_whoever_lets_an_offer_lapse_is_told(till: Till) -> None:
    ada = await till.person()
    await till.ask(ada, 1000)
    await till.sponsor(1500)
    till.clock.advance(timedelta(days=7))

    await runs.grant_due(till.units)
    await till.work()

    assert (await last(till, ada)).ended_as == "lapsed"
    assert "Your membership has not begun" in subjects(till, "ada")
    async with till.visitor(ada) as page:
        assert "went to the next in the queue" in (await page.get("/place")).text


async def test_turning_back_from_the_payment_page_of_a_whole_year_loses_no_turn(till: Till) -> None:
    ada = await till.person()
    asked = await till.ask(ada)

    await till.begin(ada, 2500)
    till.clock.advance(timedelta(hours=25))
    await till.sandbox.settle()

    assert (await last(till, ada)).id == asked.id
    assert (await last(till, ada)).state == "queued"


@pytest.mark.parametrize("number", [SLOW, RETURNS])
async def test_the_pools_part_is_kept_until_the_bank_has_answered(till: Till, number: str) -> None:
    await till.sponsor(1500)
    ada, bob = await till.person(), await till.person("bob")
    await till.pay(ada, 1000, card=number)
    await till.ask(bob, 1000)

    till.clock.advance(timedelta(days=3))
    await runs.grant_due(till.units)
    assert await till.balance(RESERVED) == 1500
    till.clock.advance(timedelta(days=2))
    await till.sandbox.settle()

    paid = number == SLOW
    assert (await till.state(ada), await till.state(bob)) == ("active" if paid else "none", "none")
    assert (await last(till, bob)).state == ("queued" if paid else "offered")


async def test_what_a_bank_decides_on_stays_as_it_is_whatever_is_asked_for(till: Till) -> None:
    await till.sponsor(1500)
    ada = await till.person()
    await till.pay(ada, 1000, card=SLOW)

    with pytest.raises(PaymentUnderWay):
        await checkout.ask(till.units, till.gateway, ada.id)
    assert (await last(till, ada)).state == "offered"
    assert await till.balance(RESERVED) == 1500

    till.clock.advance(timedelta(days=5))
    await till.sandbox.settle()
    assert await till.state(ada) == "active"


async def test_a_page_for_another_part_can_be_paid_no_more_once_a_whole_place_is_asked_for(
    till: Till,
) -> None:
    await till.sponsor(2500)
    ada = await till.person()
    page = await till.begin(ada, 1000)

    await checkout.ask(till.units, till.gateway, ada.id)

    await till.enter(page)
    await till.sandbox.settle()
    assert (await last(till, ada)).contribution == ZERO
    assert await till.count(Payment) == 1, "the sponsor's"


async def test_money_of_two_pages_waits_once_and_goes_back_once(till: Till) -> None:
    await till.sponsor(1500)
    ada, bob = await till.person(), await till.person("bob")
    await money_too_late(till, ada, 1000)
    await money_too_late(till, ada, 1000)
    await till.ask(bob, 1000)
    await till.sandbox.settle()

    assert (await last(till, ada)).credited
    assert await till.count(Refund) == 1
    till.clock.advance(timedelta(days=31))
    await credit.return_due(till.units, till.gateway)
    await refunds.send_due(till.units, till.gateway)

    assert await till.count(Payment, Payment.refunded == Money(1000)) == 2
    assert await till.balance(MEMBER_CREDIT) == 0


async def test_money_that_began_a_year_is_not_given_back_with_the_next(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    await till.sponsor(1500, "grace1")
    for year in range(2):
        await money_too_late(till, ada, 1000)
        waits = await till.ask(bob, 1000)
        await till.sandbox.settle()
        if not year:
            await till.sponsor(1500, "grace")
            assert await till.state(ada) == "active"
            async with till.units.open() as work:
                await queue.withdraw(work, bob.id)
            till.clock.advance(timedelta(days=350))
        assert waits.state == "offered"

    async with till.visitor(ada) as page:
        await page.post("/place/leave", data={})

    assert await till.count(Refund) == 1
    assert await till.balance(MEMBER_CREDIT) == 0


async def test_a_member_sees_what_they_pay_of_each_year_however_it_came(till: Till) -> None:
    ada, bob, cyd = [await till.person(name) for name in ("ada", "bob", "cyd")]
    await till.sponsor(1500, "grace1")
    # What waited for a place, what one pays for a household, and what somebody else paid.
    await money_too_late(till, ada, 1000)
    await till.ask(bob, 1000)
    await till.sandbox.settle()
    await till.sponsor(1500, "grace2")
    await accept(till.units, cyd, await invitation(till.units, bob))
    await till.pay(bob, 2500, purpose="household")

    said = []
    for person in (ada, bob, cyd):
        async with till.visitor(person) as page:
            text = (await page.get("/account/payments")).text
        said += re.findall(r"\$25[:,] [^<]*", text)

    assert said == [
        "$25: $10 from you, the rest by the solidarity pool or for a household",
        "$25, all of it from you",
        "$25, by the solidarity pool, as a gift or for a household",
    ]


async def test_whoever_leaves_the_queue_gets_waiting_money_back_at_once(till: Till) -> None:
    await till.sponsor(1500)
    ada, bob = await till.person(), await till.person("bob")
    await money_too_late(till, ada, 1000)
    await till.ask(bob, 1000)
    await till.sandbox.settle()

    await credit.leave(till.units, till.gateway, ada.id)

    assert await till.place(ada) is None
    assert await till.balance(MEMBER_CREDIT) == 0
    assert await till.count(Payment, Payment.refunded == Money(1000)) == 1


async def test_a_year_from_elsewhere_ends_the_request(till: Till) -> None:
    ada = await till.person()
    await till.ask(ada)

    await till.pay(ada, 2500)
    await till.work()

    assert (await last(till, ada)).ended_as == "needless"


async def test_a_place_that_waits_for_its_moment_is_not_a_second_year(till: Till) -> None:
    ada = await till.person()
    await till.ask(ada)
    await till.pay(ada, 2500)
    # The news that she is a member has not been carried round yet.
    await till.sponsor(2500)

    assert len(await till.terms_of(ada.id)) == 1
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (2500, 0)


async def test_a_price_that_falls_to_what_one_offered_is_told(till: Till) -> None:
    ada = await till.person()
    await till.ask(ada, 2000)

    await till.adopt(Dues, price=2000, suggested=(500, 2000))
    await runs.grant_due(till.units)
    await till.work()

    assert (await last(till, ada)).ended_as == "needless"
    assert "Your membership can begin" in subjects(till, "ada")
