"""The announcement: words and rules of a motion are frozen, the roll with them, and the vote begins.

All that the vote goes by stands on the rule card, canonical JSON whose SHA-256 is published and told to every member
on the roll; a changed word would show.
"""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import select, update

from coop.errors import Refused
from coop.governance import patches, roll
from coop.governance.ballots import CHOICES
from coop.governance.events import MotionOpened
from coop.governance.motions import (
    Motion,
    MotionMoved,
    NoSuchMotion,
    NotYours,
    freezes_at,
    get,
)
from coop.governance.tally import rule_of, write_majority
from coop.policies import KINDS, PolicyConflict, Voting, check_together, history, in_force
from coop.unit_of_work import UnitOfWork

POSTPONED_BY = timedelta(days=7)
"""How long a motion waits before it may be tried again when the roll grew too fast."""


class TooEarly(Refused):
    """The motion is still being discussed."""

    code = "discussion_open"


class EmptyRoll(Refused):
    """Nobody has been a member for long enough to vote."""

    code = "empty_roll"


class RuleCard(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a vote goes by."""

    format: str
    motion: UUID
    title: str
    text: str
    argument_for: str
    argument_against: str
    motion_class: str
    method: str
    choices: tuple[str, ...]
    majority: str
    quorum_root: int
    quorum_share: int
    votes_for_needed: int
    roll_size: int
    record_date: datetime
    closes_at: datetime
    effective_at: datetime
    voting_policy: str
    changes: str | None
    against: str | None
    patch: dict[str, object] | None
    ballots: str


async def announce(work: UnitOfWork, motion_id: UUID, account_id: UUID) -> Motion:
    """Freeze a discussed motion and open its vote; its proposer decides when.

    When the roll has grown too fast the motion is postponed instead: look at its `state`.
    """
    motion = await work.session.scalar(
        select(Motion)
        .where(Motion.id == motion_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if motion is None:
        raise NoSuchMotion
    if motion.proposer_id != account_id:
        raise NotYours
    if motion.state != "discussion":
        raise MotionMoved
    rules = await in_force(work, Voting)
    voting = rules.document
    earliest = freezes_at(motion, voting)
    if earliest is None or work.now < earliest:
        raise TooEarly
    if motion.kind is not None:
        await unchanged(work, motion)
    if await roll.grew_too_fast(work, voting):
        motion.postponed_until = work.now + POSTPONED_BY
        await work.session.flush()
        return motion
    size = await roll.freeze(work, motion_id)
    if not size:
        raise EmptyRoll
    closes_at = _next_hour(work.now + timedelta(days=voting.voting_days))
    effective_at = closes_at + timedelta(days=voting.cooling_off_days)
    card = rule_card(
        motion, voting, size=size, times=(work.now, closes_at, effective_at), policy_hash=rules.hash
    )
    opened = await work.session.execute(
        update(Motion)
        .where(Motion.id == motion_id, Motion.state == "discussion")
        .values(
            state="open",
            announced_at=work.now,
            closes_at=closes_at,
            effective_at=effective_at,
            roll_size=size,
            card=card.decode(),
            card_hash=hashlib.sha256(card).hexdigest(),
        )
    )
    if not opened.rowcount:  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult
        raise MotionMoved
    work.publish(MotionOpened(motion_id=motion_id), dedupe_key=f"motion-opened:{motion_id}")
    return await get(work, motion_id)


async def unchanged(work: UnitOfWork, motion: Motion) -> patches.Prepared:
    """Return the law that a motion would make, or refuse if the law it was written against is no more."""
    version = await patches.target(work, motion.kind or "")
    if version.hash != motion.against_hash:
        raise PolicyConflict
    changed = patches.apply(version.document, patches.read(motion.patch or ""))
    await check_together(work, changed)
    return patches.Prepared(document=changed, replaces=version.hash)


async def proposed(work: UnitOfWork, motion: Motion) -> list[patches.Change]:
    """Return what a motion changes, field by field, against the version that it was written for."""
    if motion.kind is None or motion.patch is None:
        return []
    for version in await history(work, KINDS[motion.kind]):
        if version.hash == motion.against_hash:
            return patches.changes(
                version.document, patches.apply(version.document, patches.read(motion.patch))
            )
    return []


def rule_card(
    motion: Motion, voting: Voting, *, size: int, times: tuple[datetime, datetime, datetime], policy_hash: str
) -> bytes:
    """Return the canonical spelling of the rule card of `motion`."""
    rule = rule_of(voting, motion.motion_class)
    record_date, closes_at, effective_at = times
    return msgspec.json.encode(
        RuleCard(
            format="coop/rule-card/1",
            motion=motion.id,
            title=motion.title,
            text=motion.text,
            argument_for=motion.argument_for,
            argument_against=motion.argument_against,
            motion_class=motion.motion_class,
            method="yes-no",
            choices=CHOICES,
            majority=write_majority(rule.majority),
            quorum_root=rule.quorum_root,
            quorum_share=rule.quorum_share,
            votes_for_needed=rule.quorum(size),
            roll_size=size,
            record_date=record_date,
            closes_at=closes_at,
            effective_at=effective_at,
            voting_policy=policy_hash,
            changes=motion.kind,
            against=motion.against_hash,
            patch=patches.read(motion.patch) if motion.patch else None,
            ballots="secret, unlinked to the roll; not yet verifiable",
        ),
        order="sorted",
    )


def read_card(motion: Motion) -> RuleCard | None:
    """Return the rule card of an announced motion."""
    return None if motion.card is None else msgspec.json.decode(motion.card, type=RuleCard)


def _next_hour(instant: datetime) -> datetime:
    """Return `instant` or the next full hour after it, so that a deadline can be remembered."""
    full = instant.replace(minute=0, second=0, microsecond=0)
    return full if full == instant else full + timedelta(hours=1)
