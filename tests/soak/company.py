"""What people do who are not alone with a card: households, organisations, instalments, gifts taken back, another word about renewal."""

import contextlib
from uuid import uuid4

from sqlalchemy import select

from coop.billing import cards, choices, giving, household_endings, sponsoring
from coop.billing.choices import What
from coop.errors import CoopError
from coop.membership import households, organisations
from coop.money import Money
from coop.sponsorship.gifts import Gift
from tests.soak.world import World


async def pay_by_instalments(world: World, *, who: int, cents: int) -> None:
    """Press Pay, by instalments."""
    await world.pay(who=who, cents=cents, instalments=True)


async def pay_for_household(world: World, *, who: int, cents: int) -> None:
    """Press Pay for everybody of one's household."""
    await world.pay(who=who, cents=cents, purpose="household")


async def join_household(world: World, *, who: int, payer: int) -> None:
    """Be invited to a household, and join it."""
    with contextlib.suppress(CoopError):
        async with world.units.open() as work:
            invitation = await households.invite(work, world.people[payer])
            await households.accept(work, world.people[who], households.code(work.settings, invitation.id))


async def leave_household(world: World, *, who: int) -> None:
    """Leave it; if the payer does, it ends for all."""
    with contextlib.suppress(CoopError):
        async with world.units.open() as work:
            await households.leave(work, world.people[who])


async def give_household_back(world: World, *, who: int, which: int) -> None:
    """Give one of the years back that one paid for in a household, or all of them."""
    async with world.units.read() as work:
        years = await household_endings.returnable(work, world.people[who])
    chosen = [None, *(year.id for year in years)][which % (len(years) + 1)]
    with contextlib.suppress(CoopError):
        await household_endings.withdraw(
            world.units, world.gateway, payer_id=world.people[who], year_id=chosen, key=uuid4().hex
        )


async def become_organisation(world: World, *, who: int) -> None:
    """Say that one's account stands for an organisation."""
    with contextlib.suppress(CoopError):
        async with world.units.open() as work:
            await organisations.register(work, world.people[who], "A reading room")


async def turn_back(world: World, *, who: int) -> None:
    """Be a person after all."""
    async with world.units.open() as work:
        await organisations.turn_back(work, world.people[who])


async def change_renewal(world: World, *, who: int, what: What, cents: int) -> None:
    """Choose another amount for the next year, pause its renewal, or take it up again."""
    with contextlib.suppress(CoopError):
        await choices.change(
            world.units,
            world.gateway,
            account_id=world.people[who],
            what=what,
            key=uuid4().hex,
            amount=Money(cents),
        )


async def leave_card(world: World, *, who: int, card: str) -> None:
    """Leave a card for all that is charged by itself, on the processor's page."""
    with contextlib.suppress(CoopError):
        await cards.begin(
            world.units,
            world.gateway,
            account_id=world.people[who],
            next_path="/account",
            key=uuid4().hex,
        )
    await world.enter_card(page=-1, card=card)


async def take_gift_back(world: World, *, which: int) -> None:
    """Take a gift back that one gave, perhaps one that somebody has begun."""
    async with world.units.read() as work:
        given = list(await work.session.scalars(select(Gift).order_by(Gift.bought_at, Gift.id)))
    if given:
        gift = given[which % len(given)]
        with contextlib.suppress(CoopError):
            await giving.take_back(
                world.units, world.gateway, account_id=gift.account_id, gift_id=gift.id, key=uuid4().hex
            )


async def stop_giving(world: World, *, who: int) -> None:
    """Stop a monthly gift."""
    await sponsoring.stop(world.units, world.gateway, world.people[who])
