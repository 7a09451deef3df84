from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from coop.clock import FixedClock
from coop.governance import ballots, outcome, roll
from coop.governance.roll import RollEntry
from coop.identity import accounts, erasing
from coop.identity.accounts import Account
from coop.membership.terms import Term
from coop.unit_of_work import Units
from tests.governance.conftest import Assembly, join, renew


async def entries(units: Units) -> set[object]:
    async with units.read() as work:
        return set(await work.session.scalars(select(RollEntry.account_id)))


async def test_members_of_the_set_age_are_on_the_roll_and_others_are_not(
    units: Units, assembly: Assembly
) -> None:
    motion_id = await assembly.discussed()
    async with units.open() as work:
        old_enough = await join(work, "justinside", days_ago=30)
        too_young = await join(work, "justoutside", days_ago=29)
        lapsed = await join(work, "lapsed", days_ago=500)
        in_grace = await join(work, "ingrace", days_ago=400)
        work.session.add(Account(handle="visitor", created_at=work.now))
    await assembly.announce(motion_id)

    assert await entries(units) == {*assembly.members, old_enough, in_grace}
    assert not {too_young, lapsed} & await entries(units)


async def test_an_ended_year_and_a_locked_or_erased_account_have_no_vote(
    units: Units, assembly: Assembly
) -> None:
    motion_id = await assembly.discussed()
    async with units.open() as work:
        stopped, locked, erased = assembly.members[3:]
        await work.session.execute(
            update(Term).where(Term.account_id == stopped).values(ended_early_at=work.now)
        )
        await work.session.execute(update(Account).where(Account.id == locked).values(locked_at=work.now))
        await erasing.erase(work, await accounts.hold(work, erased))
    await assembly.announce(motion_id)

    assert await entries(units) == set(assembly.members[:3])


async def test_a_renewed_member_keeps_the_age_of_the_first_year(units: Units, assembly: Assembly) -> None:
    motion_id = await assembly.discussed()
    async with units.open() as work:
        faithful = await join(work, "faithful", days_ago=370)
        await renew(work, faithful, days_ago=3)
        returned = await join(work, "returned", days_ago=900)
        await renew(work, returned, days_ago=3)
    motion = await assembly.announce(motion_id)

    assert motion.roll_size == 7
    assert faithful in await entries(units)
    assert returned not in await entries(units)


async def test_a_later_lapse_keeps_the_vote_and_late_joiners_wait(
    units: Units, clock: FixedClock, assembly: Assembly
) -> None:
    motion = await assembly.open()
    async with units.open() as work:
        await work.session.execute(
            update(Term).where(Term.account_id == assembly.members[5]).values(ended_early_at=work.now)
        )
        late = await join(work, "late", days_ago=100)
    clock.advance(timedelta(days=1))
    async with units.open() as work:
        await ballots.cast(work, motion.id, assembly.members[5], "no")
        with pytest.raises(ballots.NotOnRoll):
            await ballots.cast(work, motion.id, late, "no")


async def test_a_crowd_that_came_at_once_postpones_the_motion(
    units: Units, clock: FixedClock, assembly: Assembly
) -> None:
    motion_id = await assembly.discussed()
    async with units.open() as work:
        for number in range(2):
            await join(work, f"sybil{number}", days_ago=31)
    motion = await assembly.announce(motion_id)
    assert (motion.state, motion.postponed_until) == ("discussion", clock.instant + timedelta(days=7))
    assert await entries(units) == set()

    clock.advance(timedelta(days=31))
    assert (await assembly.announce(motion_id)).roll_size == 8


async def test_growth_within_the_bound_does_not_postpone(units: Units, assembly: Assembly) -> None:
    motion_id = await assembly.discussed()
    async with units.open() as work:
        await join(work, "newcomer", days_ago=31)
    assert (await assembly.announce(motion_id)).roll_size == 7


async def test_the_roll_awaits_a_vote_until_it_is_cast(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    voter = assembly.members[4]
    async with units.open() as work:
        assert [waiting.id for waiting in await roll.awaiting(work, voter)] == [motion.id]
        await ballots.cast(work, motion.id, voter, "abstain")
        assert await roll.awaiting(work, voter) == []
        assert await roll.turnout(work, motion.id) == 1


async def test_the_database_itself_keeps_the_roll_after_the_close(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    await assembly.count(motion)
    with pytest.raises(DBAPIError):
        async with units.open() as work:
            await work.session.execute(update(RollEntry).values(voted=True))


async def test_a_roll_is_forgotten_once_its_decision_took_effect_and_not_before(
    units: Units, assembly: Assembly
) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "yes", "yes")
    await assembly.count(motion)
    await roll.forget_due(units)
    assert len(await entries(units)) == 6

    assembly.stand_at(motion, "effective_at")
    await roll.forget_due(units)
    assert len(await entries(units)) == 6
    await outcome.execute_due(units)
    await roll.forget_due(units)
    assert await entries(units) == set()
    assert (await assembly.get(motion.id)).roll_size == 6


async def test_a_roll_cannot_be_thinned_out_before_the_decision_took_effect(
    units: Units, assembly: Assembly
) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "yes", "yes")
    await assembly.count(motion)
    with pytest.raises(DBAPIError):
        async with units.open() as work:
            await work.session.execute(delete(RollEntry))
