from datetime import timedelta

import anyio
import pytest

from coop.errors import CoopError
from coop.identity.accounts import Account
from coop.ledger import GIFTS_OUTSTANDING, POOL
from coop.sponsorship import gifts
from coop.sponsorship.gifts import Gift, GiftReturned, NoSuchGift
from tests.till import Till


async def bought(till: Till) -> str:
    giver = await till.person("giver")
    await till.pay(giver, purpose="gift")
    async with till.units.read() as work:
        (gift,) = await gifts.given_by(work, giver.id)
    return gifts.code(till.units.settings, gift.id)


async def claim(till: Till, account: Account, secret: str) -> None:
    async with till.units.open() as work:
        await gifts.claim(work, account.id, secret)


async def test_of_ten_who_bring_one_gift_one_begins_a_year(till: Till) -> None:
    secret = await bought(till)
    people = [await till.person(f"finder{number}") for number in range(10)]
    refused: list[CoopError] = []

    async def bring(account: Account) -> None:
        try:
            await claim(till, account, secret)
        except CoopError as refusal:
            refused.append(refusal)

    async with anyio.create_task_group() as tasks:
        for account in people:
            tasks.start_soon(bring, account)

    assert len(refused) == 9
    assert [await till.state(account) for account in people].count("active") == 1
    assert await till.balance(GIFTS_OUTSTANDING) == 0
    assert (await till.books())["DeferredDues"] == 2500


async def test_a_gift_that_nobody_took_up_returns_on_its_day_and_begins_a_place(till: Till) -> None:
    secret = await bought(till)
    ada, bob = await till.person(), await till.person("bob")
    await till.ask(bob)

    till.clock.advance(gifts.KEPT - timedelta(seconds=1))
    assert await gifts.return_due(till.units) == 0
    till.clock.advance(timedelta(seconds=1))
    with pytest.raises(GiftReturned):
        await claim(till, ada, secret)
    assert await gifts.return_due(till.units) == 1
    assert await gifts.return_due(till.units) == 0

    assert await till.state(bob) == "active"
    assert (await till.balance(GIFTS_OUTSTANDING), await till.balance(POOL)) == (0, 0)


@pytest.mark.parametrize("secret", ["", "nothing", "ą", "x" * 100])
async def test_a_link_that_is_not_whole_is_refused_kindly(till: Till, secret: str) -> None:
    await bought(till)

    with pytest.raises(NoSuchGift):
        await claim(till, await till.person(), secret)


async def test_the_link_is_nowhere_in_the_database(till: Till) -> None:
    secret = await bought(till)

    async with till.units.read() as work:
        rows = (await work.session.execute(Gift.__table__.select())).all()

    assert secret not in repr(rows)


async def test_who_waits_for_a_place_and_brings_a_gift_leaves_the_queue(till: Till) -> None:
    secret = await bought(till)
    ada = await till.person()
    await till.ask(ada)

    await claim(till, ada, secret)

    assert await till.place(ada) is None
    assert await till.state(ada) == "active"
