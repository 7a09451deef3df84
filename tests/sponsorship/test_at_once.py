"""Two hundred people at once, on either database: never a cent more than there is, and nobody out of turn."""

from uuid import UUID

import anyio
import sqlalchemy.exc
from sqlalchemy import select

from coop.identity import accounts
from coop.ledger import POOL, RESERVED
from coop.money import Money
from coop.sponsorship import gifts, queue
from coop.sponsorship.gifts import Gift, GiftTaken
from coop.sponsorship.places import Place
from tests.people import cheap_digest
from tests.till import Till

MANY = 200
PARTS = (0, 500, 1000, 2400)
"""What they would pay themselves, in cents."""


async def crowd(till: Till, size: int) -> list[UUID]:
    """Register many people in one go."""
    digest = cheap_digest("violet tram under seven bridges")
    found = []
    async with till.units.open() as work:
        for number in range(size):
            name = f"asker{number:03}"
            account = await accounts.register(
                work, handle=name, email=f"{name}@example.org", password_digest=digest
            )
            account.email_verified_at = work.wall
            found.append(account.id)
    return found


async def ask(till: Till, account_id: UUID, part: int) -> None:
    """Ask as a person does whose page says that the service is busy: again."""
    while True:
        try:
            async with till.units.open() as work:
                await queue.ask(work, account_id, contribution=Money(part))
        except sqlalchemy.exc.TimeoutError:
            continue
        return


async def test_two_hundred_who_ask_at_once_get_what_there_is_in_their_order(till: Till) -> None:
    await till.sponsor(20_000)
    people = await crowd(till, MANY)

    async with anyio.create_task_group() as tasks:
        for number, account_id in enumerate(people):
            tasks.start_soon(ask, till, account_id, PARTS[number % len(PARTS)])

    async with till.units.read() as work:
        line = list(await work.session.scalars(select(Place).order_by(Place.asked_at, Place.id)))
    assert len(line) == MANY
    left = 20_000
    for place in line:
        gap = 2500 - place.contribution.minor
        if gap > left:
            # Whoever comes after the first that the pool cannot cover waits, however small their gap.
            left = 0
        assert (place.state == "queued") == (not left), place
        left -= gap if left else 0
    given = sum(2500 - place.contribution.minor for place in line if place.state == "begun")
    assert given + await till.balance(POOL) + await till.balance(RESERVED) == 20_000


async def test_a_gift_that_is_claimed_and_taken_back_at_once_goes_one_way(till: Till) -> None:
    giver = await till.person("giver")
    await till.pay(giver, purpose="gift")
    async with till.units.read() as work:
        (gift,) = await gifts.given_by(work, giver.id)
    finder = await till.person("finder")
    refused: list[str] = []

    async def claim() -> None:
        try:
            await till.claim(finder, gift)
        except (GiftTaken, gifts.GiftTakenBack) as refusal:
            refused.append(refusal.code)

    async def take_back() -> None:
        try:
            await till.take_back(giver, gift)
        except GiftTaken as refusal:
            refused.append(refusal.code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(claim)
        tasks.start_soon(take_back)

    assert len(refused) == 1
    began = await till.state(finder) == "active"
    assert await till.count(Gift, Gift.state == ("claimed" if began else "taken_back")) == 1
    books = await till.books()
    assert books.get("DeferredDues", 0) == (2500 if began else 0)
    assert books.get("MemberCredit", 0) == 0


async def test_pressing_take_back_again_and_again_sends_one_refund(till: Till) -> None:
    giver = await till.person("giver")
    await till.pay(giver, purpose="gift")
    async with till.units.read() as work:
        (gift,) = await gifts.given_by(work, giver.id)
    done: list[str] = []

    async def press() -> None:
        try:
            await till.take_back(giver, gift)
            done.append("back")
        except GiftTaken:
            done.append("gone")

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(press)

    assert sorted(done) == ["back"] + ["gone"] * 4
    assert (await till.books()).get("GiftsOutstanding", 0) == 0
