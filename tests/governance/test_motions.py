import asyncio
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from coop import policies
from coop.clock import FixedClock
from coop.errors import NotAllowed
from coop.governance import announcement, electorate, motions, patches
from coop.governance.motions import Motion
from coop.governance.tally import CLASS_OF_KIND
from coop.policies import BadPolicy, Dues, PolicyConflict
from coop.unit_of_work import Units
from tests.governance.conftest import Assembly, join


async def test_a_draft_is_seconded_by_others_before_it_is_discussed(units: Units, assembly: Assembly) -> None:
    motion_id = await assembly.draft()
    async with units.open() as work:
        with pytest.raises(motions.OwnMotion):
            await motions.second(work, motion_id, assembly.members[0])
        assert (await motions.second(work, motion_id, assembly.members[1])).state == "draft"
        with pytest.raises(motions.AlreadySeconded):
            await motions.second(work, motion_id, assembly.members[1])
        assert (await motions.second(work, motion_id, assembly.members[2])).state == "discussion"


async def test_two_who_second_at_once_are_both_counted(units: Units, assembly: Assembly) -> None:
    motion_id = await assembly.draft()

    async def second(member: int) -> None:
        async with units.open() as work:
            await motions.second(work, motion_id, assembly.members[member])

    await asyncio.gather(second(1), second(2))
    assert (await assembly.get(motion_id)).state == "discussion"


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("dues", {"price": 99}),
        ("dues", {"price": 100_001}),
        ("dues", {"price": "2700"}),
        ("dues", {"price": 2700.5}),
        ("dues", {"price": True}),
        ("dues", {"discount": 1}),
        ("dues", {"minimum_card": 2600}),
        ("voting", {"voting_days": 1}),
        ("voting", {"ordinary": {"strict": False}}),
        ("shares", {"networks": 7000}),
        ("dues", {"price": 100, "minimum_card": 50}),
    ],
)
async def test_a_change_out_of_bounds_is_refused_before_it_is_moved(
    assembly: Assembly, kind: str, patch: dict[str, object]
) -> None:
    with pytest.raises(BadPolicy):
        await assembly.draft(kind=kind, patch=patch)


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("dues", {}),
        ("dues", {"price": 2500}),
        ("dues", {"price": None}),
        ("dues", {"kind": "pool"}),
        ("crown", {"price": 1}),
    ],
)
async def test_a_change_of_nothing_or_of_no_law_is_refused(
    assembly: Assembly, kind: str, patch: dict[str, object]
) -> None:
    with pytest.raises(patches.BadPatch):
        await assembly.draft(kind=kind, patch=patch)


@pytest.mark.parametrize(
    ("title", "text"), [("", "x"), ("x" * 121, "x"), ("a\x00b", "x"), ("x", " "), ("x", "y" * 20_001)]
)
async def test_a_motion_without_fitting_words_is_refused(
    units: Units, assembly: Assembly, title: str, text: str
) -> None:
    async with units.open() as work:
        with pytest.raises(motions.BadMotion):
            await motions.draft(work, assembly.members[0], title=title, text=text, argument_for="Because.")


async def test_nobody_buries_the_others_in_drafts(units: Units, assembly: Assembly) -> None:
    drafts = [await assembly.draft(patch={"price": 2600 + n}) for n in range(motions.MOST_DRAFTS)]
    with pytest.raises(motions.TooManyDrafts):
        await assembly.draft()
    async with units.open() as work:
        await motions.withdraw(work, drafts[0], assembly.members[0])
    await assembly.draft()


def test_every_kind_of_law_belongs_to_a_class() -> None:
    assert set(CLASS_OF_KIND) == set(policies.KINDS)


async def test_the_kind_of_law_decides_the_class(assembly: Assembly) -> None:
    dues = await assembly.draft(motion_class="ordinary")
    voting = await assembly.draft(kind="voting", patch={"voting_days": 10})
    assert (await assembly.get(dues)).motion_class == "economic"
    assert (await assembly.get(voting)).motion_class == "constitutional"


async def test_the_discussion_lasts_as_long_as_the_law_says(clock: FixedClock, assembly: Assembly) -> None:
    motion_id = await assembly.discussed()
    clock.advance(timedelta(milliseconds=-1))
    with pytest.raises(announcement.TooEarly):
        await assembly.announce(motion_id)
    clock.advance(timedelta(milliseconds=1))
    assert (await assembly.announce(motion_id)).state == "open"


async def test_only_the_proposer_amends_withdraws_and_announces(units: Units, assembly: Assembly) -> None:
    motion_id = await assembly.discussed()
    other = assembly.members[1]
    async with units.open() as work:
        with pytest.raises(motions.NotYours):
            await motions.amend(work, motion_id, other, text="Other", argument_for="Other")
        with pytest.raises(motions.NotYours):
            await motions.withdraw(work, motion_id, other)
        with pytest.raises(motions.NotYours):
            await announcement.announce(work, motion_id, other)
        amended = await motions.amend(
            work, motion_id, assembly.members[0], text="Better", argument_for="Because"
        )
    assert amended.text == "Better"


async def test_another_member_writes_the_argument_against(units: Units, assembly: Assembly) -> None:
    motion_id = await assembly.draft()
    async with units.open() as work:
        with pytest.raises(NotAllowed):
            await motions.argue_against(work, motion_id, assembly.members[0], "Mine")
        await motions.argue_against(work, motion_id, assembly.members[1], "Too dear.")
        with pytest.raises(motions.MotionMoved):
            await motions.argue_against(work, motion_id, assembly.members[2], "Me too.")
        motion = await motions.argue_against(work, motion_id, assembly.members[1], "Much too dear.")
    assert motion.argument_against == "Much too dear."


async def test_an_announced_motion_cannot_be_amended_or_withdrawn(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    async with units.open() as work:
        with pytest.raises(motions.MotionMoved):
            await motions.amend(work, motion.id, assembly.members[0], text="New", argument_for="New")
        with pytest.raises(motions.MotionMoved):
            await motions.argue_against(work, motion.id, assembly.members[1], "Late")
        with pytest.raises(motions.MotionMoved):
            await motions.withdraw(work, motion.id, assembly.members[0])


@pytest.mark.parametrize("column", ["text", "title", "patch", "card", "roll_size", "closes_at"])
async def test_the_database_itself_keeps_announced_words(
    units: Units, assembly: Assembly, column: str
) -> None:
    motion = await assembly.open()
    value = {"roll_size": 1, "closes_at": motion.announced_at}.get(column, "changed")
    with pytest.raises(DBAPIError):
        async with units.open() as work:
            await work.session.execute(update(Motion).values({column: value}))


async def test_the_rule_card_is_canonical_and_its_hash_is_published(units: Units, assembly: Assembly) -> None:
    motion = await assembly.open()
    card = announcement.read_card(motion)
    assert card is not None
    assert motion.card is not None
    assert msgspec.json.encode(card, order="sorted").decode() == motion.card
    assert motion.card_hash is not None
    assert len(motion.card_hash) == 64
    assert (card.majority, card.votes_for_needed, card.roll_size) == (">=3/5", 3, 6)
    assert card.patch == {"price": 2700}
    async with units.read() as work:
        assert card.against == (await policies.in_force(work, Dues)).hash


async def test_a_deadline_falls_on_a_full_hour(clock: FixedClock, assembly: Assembly) -> None:
    clock.advance(timedelta(minutes=17, seconds=3))
    motion = await assembly.open()
    assert motion.closes_at is not None
    assert motion.announced_at is not None
    assert (motion.closes_at.minute, motion.closes_at.second) == (0, 0)
    assert timedelta(days=14) <= motion.closes_at - motion.announced_at < timedelta(days=14, hours=1)


async def test_a_motion_against_law_that_changed_meanwhile_is_refused_at_the_freeze(
    units: Units, assembly: Assembly
) -> None:
    motion_id = await assembly.discussed()
    async with units.open() as work:
        version = await policies.latest(work, Dues)
        await policies.adopt(
            work,
            msgspec.structs.replace(version.document, price=2600),
            act="founding",
            effective_at=work.now + timedelta(days=90),
            replaces=version.hash,
        )
    with pytest.raises(PolicyConflict):
        await assembly.announce(motion_id)
    assert (await assembly.get(motion_id)).state == "discussion"


async def test_two_announcements_at_once_open_one_vote(assembly: Assembly) -> None:
    motion_id = await assembly.discussed()
    answers = await asyncio.gather(
        assembly.announce(motion_id), assembly.announce(motion_id), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Motion", "MotionMoved"]


async def test_who_could_not_vote_neither_proposes_nor_seconds_nor_argues(
    units: Units, assembly: Assembly
) -> None:
    motion_id = await assembly.draft()
    async with units.open() as work:
        newcomer = await join(work, "newcomer", days_ago=29)
        with pytest.raises(electorate.NotEntitled):
            await motions.draft(work, newcomer, title="T", text="W", argument_for="A")
        with pytest.raises(electorate.NotEntitled):
            await motions.second(work, motion_id, newcomer)
        with pytest.raises(electorate.NotEntitled):
            await motions.argue_against(work, motion_id, newcomer, "No")


async def test_an_act_of_law_is_told_by_the_title_of_its_motion(units: Units, assembly: Assembly) -> None:
    motion_id = await assembly.draft()
    async with units.read() as work:
        act = await motions.title_of_act(work, f"motion:{motion_id}")
        assert act == motions.Act("Raise dues to $27", f"/votes/{motion_id}")
        assert await motions.title_of_act(work, "founding") is None
        assert await motions.title_of_act(work, "motion:nonsense") is None
