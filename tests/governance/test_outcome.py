import asyncio
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError

from coop import policies
from coop.clock import FixedClock
from coop.governance import ballots, letters, motions, outcome
from coop.governance.motions import Motion
from coop.identity.accounts import Account
from coop.mail import Letter
from coop.membership.terms import Term
from coop.money import Money
from coop.outbox import OutboxMessage
from coop.policies import Dues
from coop.unit_of_work import Units
from tests.governance.conftest import Assembly


async def outbox(units: Units, kind: str) -> int:
    async with units.read() as work:
        counted = select(func.count()).select_from(OutboxMessage).where(OutboxMessage.kind == kind)
        return await work.session.scalar(counted) or 0


async def price(units: Units) -> int:
    async with units.read() as work:
        return (await policies.in_force(work, Dues)).document.price


async def test_a_carried_motion_changes_the_price_after_the_cooling_off(
    units: Units, assembly: Assembly
) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "yes", "yes", "no", "abstain")
    assembly.stand_at(motion, "closes_at")
    await outcome.close_due(units)
    carried = await assembly.get(motion.id)
    assert carried.state == "carried"
    assert carried.result is not None
    assert (carried.result.votes_for, carried.result.votes_against, carried.result.abstained) == (3, 1, 1)

    assembly.stand_at(motion, "effective_at", after=timedelta(milliseconds=-1))
    await outcome.execute_due(units)
    assert await price(units) == 2500

    assembly.stand_at(motion, "effective_at")
    await outcome.execute_due(units)
    assert await price(units) == 2700
    async with units.read() as work:
        version = await policies.in_force(work, Dues)
        assert (version.act, version.number) == (motion.act, 2)
        running = (await work.session.scalars(select(Term.price).distinct())).all()
    assert running == [Money(2500)]
    assert (await assembly.get(motion.id)).state == "executed"


async def test_a_lost_motion_changes_nothing(units: Units, clock: FixedClock, assembly: Assembly) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "yes", "no", "no")
    await assembly.count(motion)
    clock.advance(timedelta(days=30))
    await outcome.execute_due(units)
    assert (await assembly.get(motion.id)).state == "lost"
    assert await price(units) == 2500


async def test_too_few_votes_for_lose_without_any_against(units: Units, assembly: Assembly) -> None:
    assert units
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "yes")
    counted = await assembly.count(motion)
    assert counted.verdict == "too_few_for"


async def test_repeated_jobs_of_two_workers_count_and_carry_out_once(
    units: Units, assembly: Assembly
) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "yes", "yes")
    assembly.stand_at(motion, "closes_at")
    await asyncio.gather(*(outcome.close_due(units) for _ in range(3)))
    assembly.stand_at(motion, "effective_at")
    await asyncio.gather(*(outcome.execute_due(units) for _ in range(3)))
    await outcome.close_due(units)
    await outcome.execute_due(units)

    async with units.read() as work:
        assert len(await policies.history(work, Dues)) == 2
    for kind in ("MotionOpened", "MotionClosed", "PolicyChanged"):
        assert await outbox(units, kind) == 1, kind


async def test_of_two_carried_changes_of_one_law_the_second_is_not_executed(
    units: Units, assembly: Assembly
) -> None:
    first, second = await assembly.discussed(), await assembly.draft(patch={"price": 3000})
    async with units.open() as work:
        for account_id in assembly.members[1:3]:
            await motions.second(work, second, account_id)
    assembly.clock.advance(timedelta(days=7))
    opened = [await assembly.announce(first), await assembly.announce(second)]
    for motion in opened:
        await assembly.vote(motion, "yes", "yes", "yes", "yes")
    await assembly.count(opened[0])
    assembly.stand_at(opened[1], "effective_at")
    await outcome.execute_due(units)

    states = {(await assembly.get(motion.id)).state for motion in opened}
    refused = next(m for m in [await assembly.get(o.id) for o in opened] if m.state == "not_executed")
    assert states == {"executed", "not_executed"}
    assert "changed since" in refused.failure
    async with units.read() as work:
        assert len(await policies.history(work, Dues)) == 2


async def test_law_that_changed_during_the_vote_is_left_alone(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "yes", "yes", "yes")
    async with units.open() as work:
        version = await policies.latest(work, Dues)
        await policies.adopt(
            work,
            msgspec.structs.replace(version.document, grace_days=10),
            act="founding",
            effective_at=work.now,
            replaces=version.hash,
        )
    await assembly.count(motion)
    assembly.stand_at(motion, "effective_at")
    await outcome.execute_due(units)
    assert (await assembly.get(motion.id)).state == "not_executed"
    assert await price(units) == 2500


async def test_a_motion_without_a_change_takes_effect_as_words(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open(kind=None, patch=None)
    assert motion.motion_class == "ordinary"
    await assembly.vote(motion, "yes", "yes", "yes", "no", "no")
    await assembly.count(motion)
    assembly.stand_at(motion, "effective_at")
    await outcome.execute_due(units)
    assert (await assembly.get(motion.id)).state == "executed"
    assert await outbox(units, "PolicyChanged") == 0


async def test_a_vote_goes_by_its_card_and_not_by_later_rules(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "yes", "yes", "no", "no")
    async with units.open() as work:
        version = await policies.latest(work, policies.Voting)
        await policies.adopt(
            work,
            msgspec.structs.replace(
                version.document, economic=policies.Majority(numerator=9, denominator=10)
            ),
            act="founding",
            effective_at=work.now,
            replaces=version.hash,
        )
    assert (await assembly.count(motion)).state == "carried"


async def test_the_database_itself_keeps_a_result(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "yes", "yes")
    await assembly.count(motion)
    with pytest.raises(DBAPIError):
        async with units.open() as work:
            await work.session.execute(update(Motion).values(votes_for=2))


async def test_everybody_on_the_roll_gets_one_announcement_and_one_reminder(
    units: Units, assembly: Assembly
) -> None:
    motion = await assembly.open()
    await asyncio.gather(*(letters.announce_due(units) for _ in range(3)))
    assert await outbox(units, "Letter") == 6

    await assembly.vote(motion, "yes", "no")
    await letters.remind_due(units)
    assert await outbox(units, "Letter") == 6

    assembly.clock.instant = letters.reminder_at(motion)
    await asyncio.gather(*(letters.remind_due(units) for _ in range(3)))
    await letters.announce_due(units)
    assert await outbox(units, "Letter") == 10


async def test_only_verified_addresses_are_written_to(units: Units, assembly: Assembly) -> None:
    async with units.open() as work:
        await work.session.execute(
            update(Account).where(Account.id == assembly.members[0]).values(email_verified_at=None)
        )
        await work.session.execute(
            update(Account).where(Account.id == assembly.members[1]).values(email=None)
        )
    await assembly.open()
    await letters.announce_due(units)
    assert await outbox(units, "Letter") == 4


async def test_marks_without_ballots_stop_the_count(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes")
    async with units.open() as work:
        await work.session.execute(ballots.Ballot.__table__.delete())
    assembly.stand_at(motion, "closes_at")
    with pytest.raises(outcome.CountDisagrees):
        await outcome.close_due(units)
    assert (await assembly.get(motion.id)).state == "open"


async def test_each_reader_is_written_to_in_their_language(units: Units, assembly: Assembly) -> None:
    async with units.open() as work:
        for member, locale in ((0, "pl"), (1, "fr")):
            await work.session.execute(
                update(Account).where(Account.id == assembly.members[member]).values(locale=locale)
            )
    motion = await assembly.open()
    await letters.announce_due(units)
    async with units.read() as work:
        rows = await work.session.scalars(select(OutboxMessage).where(OutboxMessage.kind == "Letter"))
        sent = {
            letter.to: letter for letter in (msgspec.json.decode(row.payload, type=Letter) for row in rows)
        }
    assert sent["member0@example.org"].subject == "Otwarto głosowanie: Raise dues to $27"
    assert sent["member1@example.org"].subject == "Un vote est ouvert : Raise dues to $27"
    body = sent["member2@example.org"].body
    for words in (motion.path, str(motion.card_hash), f"{motion.closes_at:%Y-%m-%d %H:%M} UTC"):
        assert words in body
