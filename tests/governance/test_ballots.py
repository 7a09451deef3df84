import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import LargeBinary, delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from coop.clock import FixedClock
from coop.errors import CoopError
from coop.governance import ballots, outcome, roll
from coop.governance.ballots import Ballot
from coop.governance.roll import RollEntry
from coop.schema import metadata
from coop.unit_of_work import Units
from tests.governance.conftest import Assembly


async def cast(units: Units, motion_id: UUID, account_id: UUID, choice: ballots.Choice = "yes") -> str:
    try:
        async with units.open() as work:
            await ballots.cast(work, motion_id, account_id, choice)
    except CoopError as refusal:
        return refusal.code
    return "cast"


async def test_nobody_votes_twice(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    assert await cast(units, motion.id, assembly.members[0]) == "cast"
    assert await cast(units, motion.id, assembly.members[0], "no") == "already_voted"
    async with units.read() as work:
        assert await ballots.counts(work, motion.id) == {"yes": 1, "no": 0, "abstain": 0}


@pytest.mark.parametrize("devices", [2, 20])
async def test_many_devices_at_once_cast_one_vote(units: Units, assembly: Assembly, devices: int) -> None:
    motion = await assembly.open()
    answers = await asyncio.gather(*(cast(units, motion.id, assembly.members[0]) for _ in range(devices)))
    assert sorted(answers) == ["already_voted"] * (devices - 1) + ["cast"]
    async with units.read() as work:
        assert sum((await ballots.counts(work, motion.id)).values()) == 1


async def test_everybody_at_once_is_counted(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    answers = await asyncio.gather(*(cast(units, motion.id, member) for member in assembly.members))
    assert answers == ["cast"] * 6
    async with units.read() as work:
        assert await roll.turnout(work, motion.id) == 6


@pytest.mark.parametrize(
    ("after", "answer"),
    [
        (timedelta(milliseconds=-1), "cast"),
        (timedelta(0), "vote_closed"),
        (timedelta(milliseconds=1), "vote_closed"),
    ],
)
async def test_the_vote_closes_to_the_millisecond(
    units: Units, assembly: Assembly, after: timedelta, answer: str
) -> None:
    motion = await assembly.open()
    assembly.stand_at(motion, "closes_at", after=after)
    assert await cast(units, motion.id, assembly.members[0]) == answer


async def test_nobody_votes_before_the_vote_opens(
    units: Units, clock: FixedClock, assembly: Assembly
) -> None:
    motion_id = await assembly.discussed()
    assert await cast(units, motion_id, assembly.members[0]) == "vote_not_open"
    motion = await assembly.announce(motion_id)
    clock.advance(timedelta(milliseconds=-1))
    assert await cast(units, motion.id, assembly.members[0]) == "vote_not_open"


async def test_nobody_votes_after_the_count_even_with_an_old_clock(
    units: Units, clock: FixedClock, assembly: Assembly
) -> None:
    motion = await assembly.open()
    await assembly.count(motion)
    clock.advance(timedelta(days=-1))
    assert await cast(units, motion.id, assembly.members[0]) == "vote_closed"


async def test_ballots_and_the_count_at_the_same_moment_agree(
    units: Units, clock: FixedClock, assembly: Assembly
) -> None:
    motion = await assembly.open()
    assembly.stand_at(motion, "closes_at", after=timedelta(milliseconds=-1))

    async def vote(member: UUID) -> str:
        return await cast(units, motion.id, member)

    async def close() -> str:
        clock.advance(timedelta(milliseconds=1))
        await outcome.close_due(units)
        return "closed"

    early = [vote(member) for member in assembly.members[:3]]
    answers = await asyncio.gather(*early, close(), *(vote(member) for member in assembly.members[3:]))
    counted = await assembly.get(motion.id)
    assert counted.result is not None
    assert counted.result.turnout == answers.count("cast")


@pytest.mark.parametrize("choice", ["", "YES", "maybe", "yes\x00"])
def test_only_three_choices_are_understood(choice: str) -> None:
    with pytest.raises(ballots.BadChoice):
        ballots.read_choice(choice)


@pytest.mark.parametrize("act", ["insert", "delete", "update"])
async def test_the_database_itself_seals_the_ballots_after_the_count(
    units: Units, assembly: Assembly, act: str
) -> None:
    motion = await assembly.open()
    await cast(units, motion.id, assembly.members[0])
    await assembly.count(motion)
    statement = {
        "insert": insert(Ballot).values(motion_id=motion.id, id=UUID(int=1), choice="yes"),
        "delete": delete(Ballot),
        "update": text("UPDATE ballots SET choice = 'no'"),
    }[act]
    with pytest.raises(DBAPIError):
        async with units.open() as work:
            await work.session.execute(statement)


def test_a_ballot_has_no_room_for_a_person_a_time_or_a_number() -> None:
    assert set(Ballot.__table__.columns.keys()) == {"motion_id", "id", "choice"}
    assert set(RollEntry.__table__.columns.keys()) == {"motion_id", "account_id", "voted"}


async def test_a_dump_of_every_table_joins_no_ballot_to_a_person(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    choices: list[ballots.Choice] = ["yes", "no", "abstain", "yes", "no"]
    for member, choice in zip(assembly.members, choices, strict=False):
        await cast(units, motion.id, member, choice)
    before = await dump(units, "ballots")
    await assembly.count(motion)
    after = await dump(units, "ballots")

    # No value of a ballot occurs anywhere else but the motion's id and the word of the choice …
    found = {value for row in after for value in row} - {
        str(motion.id),
        motion.id.hex,
        "yes",
        "no",
        "abstain",
    }
    assert len(found) == 5
    for table in metadata.sorted_tables:
        if table.name != "ballots":
            assert not {value for row in await dump(units, table.name) for value in row} & found, table.name
    # … the ids under which they were cast are gone, and both tables lie sorted.
    assert not {value for row in before for value in row} & found
    assert after == sorted(after)
    assert await dump(units, "roll") == sorted(await dump(units, "roll"))


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_after_the_count_postgresql_cannot_tell_which_rows_were_written_together(
    units: Units, assembly: Assembly
) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "no", "abstain", "yes")
    await assembly.count(motion)
    async with units.read() as work:
        for table in ("ballots", "roll"):
            writers = await work.session.execute(text(f"SELECT DISTINCT xmin::text FROM {table}"))
            assert len(writers.all()) == 1, table


async def test_only_new_ballots_make_a_mixing(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    await assembly.vote(motion, "yes", "no")
    before = await dump(units, "ballots")
    await ballots.mix_open(units)
    mixed = await dump(units, "ballots")
    await ballots.mix_open(units)
    assert not set(before) & set(mixed)
    assert await dump(units, "ballots") == mixed


async def test_mixing_while_the_vote_is_open_loses_nobody(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    await cast(units, motion.id, assembly.members[3], "no")
    await cast(units, motion.id, assembly.members[1], "yes")
    await asyncio.gather(ballots.mix_open(units), cast(units, motion.id, assembly.members[0], "abstain"))
    assert await cast(units, motion.id, assembly.members[3]) == "already_voted"
    async with units.read() as work:
        assert await ballots.counts(work, motion.id) == {"yes": 1, "no": 1, "abstain": 1}
        assert await roll.turnout(work, motion.id) == 3


async def dump(units: Units, table: str) -> list[tuple[str, ...]]:
    """Return a table as a dump has it: in the order in which the engine keeps it, everything as text."""
    columns = metadata.tables[table].columns
    async with units.read() as work:
        rows = await work.session.execute(select(*columns))
    return [
        tuple(
            value.hex()
            if isinstance(column.type, LargeBinary) and value
            else value.isoformat()
            if isinstance(value, datetime)
            else str(value)
            for column, value in zip(columns, row, strict=True)
        )
        for row in rows
    ]
