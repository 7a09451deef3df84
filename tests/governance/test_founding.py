from datetime import timedelta

import msgspec
import pytest

from coop import policies
from coop.clock import FixedClock
from coop.governance import founding
from coop.policies import Dues, Voting
from coop.stewardship import audit, roles
from coop.unit_of_work import Units
from tests.governance.conftest import Assembly, join


async def appoint(units: Units, assembly: Assembly) -> None:
    async with units.open() as work:
        await roles.grant(
            work,
            assembly.members[0],
            "steward",
            until=work.now + timedelta(days=1000),
            act="founding",
            reason="Founder",
        )


async def raise_dues(units: Units, assembly: Assembly, price: int, member: int = 0) -> None:
    async with units.open() as work:
        dues = (await policies.in_force(work, Dues)).document
        await founding.act(
            work, assembly.members[member], msgspec.structs.replace(dues, price=price), reason="First costs"
        )


async def test_a_founder_changes_law_with_a_reason_in_the_open(units: Units, assembly: Assembly) -> None:
    await appoint(units, assembly)
    await raise_dues(units, assembly, 2600)
    async with units.read() as work:
        version = await policies.in_force(work, Dues)
        entry = (await audit.latest(work))[0]
    assert (version.document.price, version.act) == (2600, "founding")
    assert (entry.act, entry.reason, entry.subject) == ("policy.founding", "First costs", "dues 2")


async def test_nobody_but_a_steward_acts_as_founder(units: Units, assembly: Assembly) -> None:
    await appoint(units, assembly)
    with pytest.raises(roles.RoleMissing):
        await raise_dues(units, assembly, 2600, member=1)


async def test_the_founding_phase_ends_with_enough_members(units: Units, assembly: Assembly) -> None:
    await appoint(units, assembly)
    async with units.open() as work:
        for number in range(23):
            await join(work, f"joiner{number}", days_ago=1)
        assert await founding.running(work)
        # Lapsed long ago, and counted all the same: the phase never comes back.
        await join(work, "thirtieth", days_ago=900)
        assert not await founding.running(work)
    with pytest.raises(founding.FoundingOver):
        await raise_dues(units, assembly, 2600)


async def test_the_founding_phase_ends_at_its_date_whatever_founders_write(
    units: Units, clock: FixedClock, assembly: Assembly
) -> None:
    await appoint(units, assembly)
    async with units.open() as work:
        voting = (await policies.in_force(work, Voting)).document
        longer = msgspec.structs.replace(voting, founding_days=730, founding_until_members=10_000)
        await founding.act(work, assembly.members[0], longer, reason="For ever")
    clock.advance(timedelta(days=365) - timedelta(seconds=1))
    await raise_dues(units, assembly, 2600)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(founding.FoundingOver):
        await raise_dues(units, assembly, 2700)
