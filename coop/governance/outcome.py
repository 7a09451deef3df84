"""Outcomes: votes are counted at their deadline, and what was carried takes effect after the cooling-off.

Both are jobs that any number of workers may run at any time: a guarded UPDATE lets each happen once.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import InstrumentedAttribute

from coop.errors import CoopError
from coop.governance import ballots, roll, tally
from coop.governance.announcement import read_card, unchanged
from coop.governance.events import MotionClosed, PolicyChanged
from coop.governance.motions import Motion, State
from coop.policies import adopt
from coop.unit_of_work import UnitOfWork, Units


class CountDisagrees(CoopError):
    """The roll and the ballots of a motion disagree; the vote cannot be counted until somebody has looked."""

    code = "count_disagrees"


async def close_due(units: Units) -> None:
    """Count every vote whose deadline has passed."""
    for motion_id in await _due(units, "open", Motion.closes_at):
        async with units.open() as work:
            await close(work, motion_id)


async def execute_due(units: Units) -> None:
    """Carry out every carried motion whose cooling-off is over, in the order in which they take effect."""
    for motion_id in await _due(units, "carried", Motion.effective_at):
        async with units.open() as work:
            await execute(work, motion_id)


async def close(work: UnitOfWork, motion_id: UUID) -> bool:
    """Count a vote; tell whether this call was the one that did."""
    motion = await _held(work, motion_id, Motion.state == "open", Motion.closes_at <= work.now)
    card = read_card(motion) if motion else None
    if motion is None or card is None:
        return False
    await ballots.mix(work, motion_id)
    cast = await ballots.counts(work, motion_id)
    if sum(cast.values()) != await roll.turnout(work, motion_id):
        raise CountDisagrees
    result = tally.count(
        votes_for=cast["yes"],
        votes_against=cast["no"],
        abstained=cast["abstain"],
        roll=card.roll_size,
        # The rule is the one on the card, whatever the voting policy says by now.
        rule=tally.Rule(
            majority=tally.read_majority(card.majority),
            quorum_root=card.quorum_root,
            quorum_share=card.quorum_share,
        ),
    )
    counted = await work.session.execute(
        update(Motion)
        .where(Motion.id == motion_id, Motion.state == "open")
        .values(
            state="carried" if result.carried else "lost",
            votes_for=result.votes_for,
            votes_against=result.votes_against,
            abstained=result.abstained,
            quorum=result.quorum,
            majority=tally.write_majority(result.majority),
            verdict=result.verdict,
        )
    )
    if not counted.rowcount:  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult
        return False
    work.publish(
        MotionClosed(motion_id=motion_id, carried=result.carried), dedupe_key=f"motion-closed:{motion_id}"
    )
    return True


async def execute(work: UnitOfWork, motion_id: UUID) -> bool:
    """Carry a motion out; tell whether this call was the one that did.

    Law that changed since the motion was written, or that no longer fits, is left alone, and the motion says why.
    """
    motion = await _held(work, motion_id, Motion.state == "carried", Motion.effective_at <= work.now)
    if motion is None:
        return False
    state: State = "executed"
    failure = ""
    if motion.kind is not None:
        try:
            async with work.session.begin_nested():
                await _adopt(work, motion)
        except CoopError as refusal:
            state, failure = "not_executed", refusal.message[:300]
    done = await work.session.execute(
        update(Motion)
        .where(Motion.id == motion_id, Motion.state == "carried")
        .values(state=state, failure=failure, executed_at=work.now)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult


async def _adopt(work: UnitOfWork, motion: Motion) -> None:
    prepared = await unchanged(work, motion)
    # In force from this very instant, never from an earlier one, when the old law was still being applied.
    version = await adopt(
        work, prepared.document, act=motion.act, effective_at=work.now, replaces=prepared.replaces
    )
    work.publish(
        PolicyChanged(kind=version.kind, version_id=version.id, act=motion.act),
        dedupe_key=f"policy-changed:{version.id}",
    )


async def _due(
    units: Units, state: State, deadline: InstrumentedAttribute[datetime | None]
) -> Sequence[UUID]:
    async with units.read() as work:
        due = select(Motion.id).where(Motion.state == state, deadline <= work.now)
        return (await work.session.scalars(due.order_by(deadline, Motion.id))).all()


async def _held(work: UnitOfWork, motion_id: UUID, *conditions: ColumnElement[bool]) -> Motion | None:
    """Take the motion's row if it still stands as it must: a second worker waits here, then finds nothing."""
    return await work.session.scalar(
        select(Motion)
        .where(Motion.id == motion_id, *conditions)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
