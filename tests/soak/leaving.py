"""What people do who have had enough, and who comes after them: erasures asked for, taken back, carried out and interrupted."""

import contextlib

import msgspec

from coop import policies
from coop.errors import CoopError
from coop.identity.accounts import Account
from coop.leaving import erasing, erasures
from coop.policies import Privacy
from tests.people import register
from tests.soak.world import PEOPLE, World


async def cool_for(world: World, days: int) -> None:
    """Give people so many days to change their mind."""
    async with world.units.open() as work:
        law = await policies.in_force(work, Privacy)
        if law.document.erasure_days == days:
            return
        await policies.adopt(
            work,
            msgspec.structs.replace(law.document, erasure_days=days),
            act="motion:00000000-0000-4000-8000-000000000000",
            effective_at=work.now,
            replaces=law.hash,
        )


async def ask_to_be_erased(world: World, *, who: int, in_writing: bool) -> None:
    """Ask to be erased, perhaps by a letter that a steward enters."""
    with contextlib.suppress(CoopError):
        async with world.units.open() as work:
            await erasures.ask(work, world.people[who], in_writing="By a letter" if in_writing else None)


async def stay(world: World, *, who: int) -> None:
    """Keep the account after all, perhaps too late."""
    with contextlib.suppress(CoopError):
        async with world.units.open() as work:
            await erasures.keep(work, world.people[who])


async def go_on(world: World) -> None:
    """Go on with the erasures whose day has come."""
    await erasing.carry_out_due(world.units, world.gateway)


async def arrive(world: World, *, who: int) -> None:
    """Come as somebody new to the seat of one who is gone; what they had begun may still go on."""
    async with world.units.read() as work:
        before = await work.session.get_one(Account, world.people[who])
    if before.erased_at is None:
        return
    handle = f"{PEOPLE[who]}{len(world.gone) + 2}"
    newcomer = await register(world.units, handle, email=f"{handle}@example.org")
    world.gone.append(world.people[who])
    world.people[who] = newcomer.id
    world.addresses[newcomer.id] = str(newcomer.email)
