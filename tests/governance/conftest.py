"""Members with years behind them, and motions at the stage that a test needs."""

import dataclasses
from datetime import timedelta
from uuid import UUID

import pytest

from coop import policies
from coop.clock import FixedClock
from coop.governance import announcement, ballots, motions, outcome
from coop.governance.motions import Motion
from coop.identity.accounts import Account
from coop.membership import terms
from coop.membership.terms import Term
from coop.policies import Dues
from coop.unit_of_work import UnitOfWork, Units
from tests import cooperative


class Assembly:
    """A cooperative of members, and short ways to bring motions before them."""

    def __init__(self, units: Units, clock: FixedClock):
        """Work over the test's database and clock."""
        self.units = units
        self.clock = clock
        self.members: list[UUID] = []

    async def gather(self, number: int = 6) -> None:
        """Found the cooperative and let `number` members join, a hundred days ago."""
        await cooperative.found(self.units)
        async with self.units.open() as work:
            self.members = [await join(work, f"member{i}", days_ago=100) for i in range(number)]

    async def draft(self, **changes: object) -> UUID:
        """Let the first member propose something; by default dues of $27."""
        proposed = {"kind": "dues", "patch": {"price": 2700}} | changes
        async with self.units.open() as work:
            motion = await motions.draft(
                work,
                self.members[0],
                title="Raise dues to $27",
                text="A year costs **$27**.",
                argument_for="Hosting costs more.",
                **proposed,
            )
        return motion.id

    async def discussed(self, **changes: object) -> UUID:
        """Return a motion whose discussion is over."""
        motion_id = await self.draft(**changes)
        async with self.units.open() as work:
            for account_id in self.members[1:3]:
                await motions.second(work, motion_id, account_id)
        self.clock.advance(timedelta(days=7))
        return motion_id

    async def announce(self, motion_id: UUID) -> Motion:
        """Put a motion to the vote."""
        async with self.units.open() as work:
            return await announcement.announce(work, motion_id, self.members[0])

    async def open(self, **changes: object) -> Motion:
        """Return a motion that is being voted on."""
        return await self.announce(await self.discussed(**changes))

    async def get(self, motion_id: UUID) -> Motion:
        """Return the motion as it stands."""
        async with self.units.read() as work:
            return await motions.get(work, motion_id)

    async def vote(self, motion: Motion, *choices: ballots.Choice) -> None:
        """Let the first members vote, in this order."""
        for account_id, choice in zip(self.members, choices, strict=False):
            async with self.units.open() as work:
                await ballots.cast(work, motion.id, account_id, choice)

    async def count(self, motion: Motion) -> Motion:
        """Move to the deadline and have the vote counted."""
        self.stand_at(motion, "closes_at")
        await outcome.close_due(self.units)
        return await self.get(motion.id)

    def stand_at(self, motion: Motion, instant: str, *, after: timedelta = timedelta(0)) -> None:
        """Move the clock to an instant of the motion, or a little after or before it."""
        self.clock.instant = getattr(motion, instant) + after


async def join(work: UnitOfWork, handle: str, *, days_ago: int) -> UUID:
    """Give somebody an account with a year that began some days ago."""
    account = Account(
        handle=handle,
        created_at=work.now,
        email=f"{handle}@example.org",
        email_verified_at=work.now,
    )
    work.session.add(account)
    await work.session.flush()
    await renew(work, account.id, days_ago=days_ago)
    return account.id


async def renew(work: UnitOfWork, account_id: UUID, *, days_ago: int) -> Term:
    """Grant a year as of some days ago."""
    then = dataclasses.replace(work, now=work.now - timedelta(days=days_ago))
    return await terms.begin(then, account_id, dues=await policies.in_force(work, Dues))


@pytest.fixture
async def assembly(units: Units, clock: FixedClock) -> Assembly:
    made = Assembly(units, clock)
    await made.gather()
    return made
