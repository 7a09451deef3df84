"""What comes in the very moment of an erasure, or after it: pages that are open, news that is late, requests under way."""

from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from api.sandbox.problems import Doc
from coop.billing import cards, checkout, operations
from coop.billing.cards import CardVisit, Customer
from coop.billing.intents import Checkout, Wish
from coop.billing.offline import transfers
from coop.billing.subscriptions import Subscription
from coop.identity.accounts import Account
from coop.leaving import erasing, erasures
from coop.membership import households
from coop.money import Money
from coop.sponsorship.gifts import Gift
from tests.till import Till

ASKS = "4000002500003155"


async def ask(till: Till, account: Account) -> None:
    """Ask for erasure and let the days pass in which one may change one's mind."""
    async with till.units.open() as work:
        await erasures.ask(work, account.id)
    till.clock.advance(timedelta(days=14))


async def go_on(till: Till) -> None:
    for _ in range(3):
        await erasing.carry_out_due(till.units, till.gateway)
        await till.work()


async def state_of(till: Till, account: Account) -> str | None:
    async with till.units.read() as work:
        known = await erasures.of(work, account.id)
    return None if known is None else known.state


async def card_page(till: Till, account: Account) -> str:
    return await cards.begin(
        till.units, till.gateway, account_id=account.id, next_path="/account", key=uuid4().hex
    )


async def kept_at_processor(till: Till) -> list[Doc]:
    """Return the customers whom the processor still knows."""
    customers = await till.sandbox.run(lambda desk: desk.where("customer"))
    return [one for one in customers if not one.get("deleted")]


async def test_a_page_on_which_she_could_leave_a_card_is_closed(till: Till) -> None:
    ada = await till.person()
    async with till.units.open() as work:
        await erasures.ask(work, ada.id)
    till.clock.advance(timedelta(days=14) - timedelta(minutes=5))
    page = await card_page(till, ada)
    till.clock.advance(timedelta(minutes=5))

    await go_on(till)
    await till.enter(page)

    assert await state_of(till, ada) == "done"
    assert await till.count(CardVisit) == 0
    assert await kept_at_processor(till) == []


async def test_of_two_pages_open_at_once_both_customers_are_forgotten(till: Till) -> None:
    ada = await till.person()
    page = await card_page(till, ada)
    paying = await till.begin(ada, automatic=True)
    # Each page makes a customer of its own, since none was known; only the first is the one that we go by.
    await till.enter(page)
    await till.sandbox.settle()
    till.clock.advance(timedelta(minutes=5))
    await till.work()
    await till.enter(paying)
    await till.sandbox.settle()
    await till.work()
    assert len(await kept_at_processor(till)) == 2

    await ask(till, ada)
    await go_on(till)

    assert await state_of(till, ada) == "done"
    assert await kept_at_processor(till) == []


@pytest.mark.parametrize("which", ["a payment", "a card"])
async def test_whoever_gave_up_at_their_bank_is_forgotten_too(till: Till, which: str) -> None:
    ada = await till.person()
    page = await (till.begin(ada, automatic=True) if which == "a payment" else card_page(till, ada))
    await till.enter(page, ASKS)
    till.clock.advance(timedelta(days=1))
    await till.sandbox.settle()
    await till.work()
    assert len(await kept_at_processor(till)) == 1

    await ask(till, ada)
    await go_on(till)

    assert await state_of(till, ada) == "done"
    assert await kept_at_processor(till) == []


@pytest.mark.parametrize("state", ["forgetting", "done"])
async def test_what_is_heard_of_after_it_was_left_is_ended_and_forgotten_too(till: Till, state: str) -> None:
    ada, grace = await till.person(), await till.person("grace")
    await till.pay(grace, 500, purpose="sponsor", automatic=True)
    await ask(till, ada)
    await go_on(till)
    async with till.units.open() as work:
        # As a page of hers would, which Stripe completed in the moment in which it was closed.
        await work.session.execute(update(Customer).values(account_id=ada.id))
        await work.session.execute(update(Subscription).values(account_id=ada.id))
        if state == "forgetting":
            await work.session.execute(update(erasures.Erasure).values(state="forgetting", done_at=None))

    await go_on(till)

    assert await state_of(till, ada) == "done"
    assert await till.count(Customer) == 0
    assert await kept_at_processor(till) == []
    async with till.units.read() as work:
        assert await work.session.scalar(select(Subscription.status)) == "canceled"
    assert await erasing.carry_out_due(till.units, till.gateway) == 0


async def test_a_gift_that_was_to_follow_her_year_can_be_given_to_somebody_else(till: Till) -> None:
    ada, grace, ben = [await till.person(handle) for handle in ("ada", "grace", "ben")]
    await till.pay(ada)
    await till.pay(grace, purpose="gift")
    async with till.units.read() as work:
        (gift,) = await work.session.scalars(select(Gift))
    assert not await till.claim(ada, gift)

    await ask(till, ada)
    await go_on(till)

    assert await state_of(till, ada) == "done"
    assert await till.count(Gift, Gift.state == "waiting", Gift.kept_for.is_(None)) == 1
    assert await till.claim(ben, gift)


async def test_nothing_begins_in_the_name_of_somebody_who_is_gone(till: Till) -> None:
    ada, grace = await till.person(), await till.person("grace")
    async with till.units.open() as work:
        invitation = await households.invite(work, grace.id)
    await ask(till, ada)
    await go_on(till)
    units, gateway = till.units, till.gateway
    units.settings = msgspec.structs.replace(units.settings, bank_account="DE02 1203 0000 0000 2020 51")

    async def pay() -> None:
        wish = Wish(account_id=ada.id, amount=Money(500), purpose="sponsor")
        await checkout.begin(units, gateway, wish, key=uuid4().hex)

    async def leave_card() -> None:
        await card_page(till, ada)

    async def announce() -> None:
        async with units.open() as work:
            await transfers.announce(work, ada.id, Money(500), purpose="sponsor")

    async def join() -> None:
        async with units.open() as work:
            await households.accept(work, ada.id, households.code(work.settings, invitation.id))

    for late in (pay, leave_card, announce, join):
        # What the database refuses is a refusal at the edge of the service; a household says it in its own words.
        with pytest.raises((IntegrityError, households.InAnotherHousehold)):
            await late()
    for rows in (operations.Operation, Checkout, CardVisit, transfers.Transfer, households.HouseholdMember):
        assert await till.count(rows, rows.account_id == ada.id) == 0
