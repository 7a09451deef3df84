"""Motions: drafted by a member, seconded by others, discussed, then frozen and put to the vote.

`coop.governance.announcement` freezes them, `ballots` takes votes, `outcome` counts and carries out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid, NotAllowed, NotFound, Refused, Sentence
from coop.governance import electorate, patches
from coop.governance.tally import CLASS_OF_KIND, Class, Result, Verdict, read_majority
from coop.policies import Voting, check_together, in_force
from coop.unit_of_work import UnitOfWork, new_id

MOST_DRAFTS = 5
"""How many motions of one member may lie before the others at a time."""

LONGEST_TITLE = 120
LONGEST_TEXT = 20_000
LONGEST_ARGUMENT = 1_500
"""Characters; arguments for and against have the same room."""

State = Literal["draft", "discussion", "open", "carried", "lost", "executed", "not_executed", "withdrawn"]


class NoSuchMotion(NotFound):
    """There is no such motion."""

    code = "no_such_motion"


class BadMotion(Invalid):
    """A motion needs a title of at most 120 characters, a text and an argument for it."""

    code = "bad_motion"


class OwnMotion(Refused):
    """Another member has to second your motion."""

    code = "own_motion"


class AlreadySeconded(Refused):
    """You have seconded this motion already."""

    code = "already_seconded"


class MotionMoved(Refused):
    """This motion has moved on; reload the page to see where it stands."""

    code = "motion_moved"


class NotYours(NotAllowed):
    """Only the member who proposed this motion may do that."""

    code = "not_your_motion"


class TooManyDrafts(Refused):
    """Five of your motions lie before the members already; withdraw one or wait for it to be decided."""

    code = "too_many_drafts"


class Motion(Base):
    """A question put to the members; once it is announced, triggers in the database keep its words as they are."""

    __tablename__ = "motions"
    __table_args__ = (
        CheckConstraint(
            "state IN ('draft', 'discussion', 'open', 'carried', 'lost', 'executed', 'not_executed', 'withdrawn')",
            name="state",
        ),
        CheckConstraint(
            "motion_class IN ('ordinary', 'economic', 'constitutional', 'charter')", name="motion_class"
        ),
        CheckConstraint(
            "(kind IS NULL) = (patch IS NULL) AND (kind IS NULL) = (against_hash IS NULL)", name="patch"
        ),
        CheckConstraint(
            "state IN ('draft', 'discussion', 'withdrawn') OR (announced_at IS NOT NULL AND closes_at IS NOT NULL "
            "AND effective_at IS NOT NULL AND card IS NOT NULL AND card_hash IS NOT NULL AND roll_size IS NOT NULL)",
            name="announced",
        ),
        CheckConstraint("closes_at > announced_at AND effective_at > closes_at", name="order"),
        CheckConstraint(
            "votes_for >= 0 AND votes_against >= 0 AND abstained >= 0 "
            "AND votes_for + votes_against + abstained <= roll_size",
            name="count",
        ),
        CheckConstraint(
            "(state IN ('carried', 'lost', 'executed', 'not_executed')) = (verdict IS NOT NULL)",
            name="verdict",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    title: Mapped[str] = mapped_column(String(LONGEST_TITLE))
    text: Mapped[str] = mapped_column(Text)
    argument_for: Mapped[str] = mapped_column(Text)
    proposer_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime]
    motion_class: Mapped[Class] = mapped_column(String(20), default="ordinary")
    kind: Mapped[str | None] = mapped_column(String(20), default=None)
    patch: Mapped[str | None] = mapped_column(Text, default=None)
    against_hash: Mapped[str | None] = mapped_column(String(64), default=None)
    argument_against: Mapped[str] = mapped_column(Text, default="")
    argument_against_by: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"), default=None)
    state: Mapped[State] = mapped_column(String(12), default="draft", index=True)
    seconds: Mapped[int] = mapped_column(default=0)
    seconded_at: Mapped[datetime | None] = mapped_column(default=None)
    postponed_until: Mapped[datetime | None] = mapped_column(default=None)
    announced_at: Mapped[datetime | None] = mapped_column(default=None)
    """The record date, at which the roll was frozen and the vote began."""
    closes_at: Mapped[datetime | None] = mapped_column(default=None)
    effective_at: Mapped[datetime | None] = mapped_column(default=None)
    card: Mapped[str | None] = mapped_column(Text, default=None)
    card_hash: Mapped[str | None] = mapped_column(String(64), default=None)
    roll_size: Mapped[int | None] = mapped_column(default=None)
    letters_sent: Mapped[bool] = mapped_column(default=False)
    reminded: Mapped[bool] = mapped_column(default=False)
    mixed: Mapped[int] = mapped_column(default=0)
    """How many ballots there were when they were last mixed."""
    votes_for: Mapped[int | None] = mapped_column(default=None)
    votes_against: Mapped[int | None] = mapped_column(default=None)
    abstained: Mapped[int | None] = mapped_column(default=None)
    quorum: Mapped[int | None] = mapped_column(default=None)
    majority: Mapped[str | None] = mapped_column(String(20), default=None)
    verdict: Mapped[Verdict | None] = mapped_column(String(20), default=None)
    executed_at: Mapped[datetime | None] = mapped_column(default=None)
    failure: Mapped[str] = mapped_column(String(300), default="")

    @property
    def path(self) -> str:
        """The path of the motion's page."""
        return f"/votes/{self.id}"

    @property
    def act(self) -> str:
        """The name under which law remembers this motion as its source."""
        return f"motion:{self.id}"

    @property
    def result(self) -> Result | None:
        """What the count found, once there was one."""
        if (
            self.votes_for is None
            or self.votes_against is None
            or self.abstained is None
            or self.quorum is None
            or self.majority is None
            or self.roll_size is None
            or self.verdict is None
        ):
            return None
        return Result(
            votes_for=self.votes_for,
            votes_against=self.votes_against,
            abstained=self.abstained,
            roll=self.roll_size,
            quorum=self.quorum,
            majority=read_majority(self.majority),
            verdict=self.verdict,
        )


class Second(Base):
    """One member's wish that a motion be discussed."""

    __tablename__ = "motion_seconds"

    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motions.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)


@dataclass(frozen=True, slots=True)
class Act:
    """The motion behind an act of law, for pages that name their source."""

    title: str
    path: str


async def get(work: UnitOfWork, motion_id: UUID) -> Motion:
    """Return a motion as the database has it now, or refuse."""
    motion = await work.session.get(Motion, motion_id, populate_existing=True)
    if motion is None:
        raise NoSuchMotion
    return motion


async def listed(work: UnitOfWork, *states: State, limit: int = 100) -> Sequence[Motion]:
    """Return the motions in these states, the latest first."""
    found = select(Motion).where(Motion.state.in_(states)).order_by(Motion.created_at.desc(), Motion.id)
    return (await work.session.scalars(found.limit(limit))).all()


async def title_of_act(work: UnitOfWork, act: str) -> Act | None:
    """Return title and path of the motion that an act of law names (`motion:<id>`), or nothing for other acts."""
    prefix, _, identifier = act.partition(":")
    if prefix != "motion":
        return None
    try:
        motion = await work.session.get(Motion, UUID(identifier))
    except ValueError:
        return None
    return None if motion is None else Act(motion.title, motion.path)


async def draft(
    work: UnitOfWork,
    account_id: UUID,
    *,
    title: str,
    text: str,
    argument_for: str,
    kind: str | None = None,
    patch: dict[str, object] | None = None,
    motion_class: Literal["ordinary", "constitutional"] = "ordinary",
) -> Motion:
    """Write a motion down; with `kind` and `patch` it changes law by itself once it is carried.

    The class of a change follows from the kind of law; only a motion without a change says its own. The charter is out of
    reach of a single vote, so nobody can choose its class here.
    """
    await electorate.require(work, account_id)
    # Two drafts sent at the same instant may make six: this bounds attention, not money or votes.
    waiting = select(func.count()).where(
        Motion.proposer_id == account_id, Motion.state.in_(["draft", "discussion"])
    )
    if (await work.session.scalar(waiting) or 0) >= MOST_DRAFTS:
        raise TooManyDrafts
    motion = Motion(
        title=_line(title),
        text=_words(text, LONGEST_TEXT, "text"),
        argument_for=_words(argument_for, LONGEST_ARGUMENT, "argument_for"),
        proposer_id=account_id,
        created_at=work.now,
        motion_class=motion_class,
    )
    if kind is not None:
        version = await patches.target(work, kind)
        changed = patches.apply(version.document, patch or {})
        await check_together(work, changed)
        motion.kind = kind
        motion.patch = patches.write(patch or {})
        motion.against_hash = version.hash
        motion.motion_class = CLASS_OF_KIND[kind]
    work.session.add(motion)
    await work.session.flush()
    return motion


async def second(work: UnitOfWork, motion_id: UUID, account_id: UUID) -> Motion:
    """Second a draft; with enough seconders its discussion begins."""
    await electorate.require(work, account_id)
    motion = await get(work, motion_id)
    if motion.proposer_id == account_id:
        raise OwnMotion
    try:
        async with work.session.begin_nested():
            work.session.add(Second(motion_id=motion_id, account_id=account_id))
    except IntegrityError as error:
        raise AlreadySeconded from error
    # The counter's row is the lock: of two seconders at once, one sees the other's.
    seconds = await work.session.scalar(
        update(Motion)
        .where(Motion.id == motion_id, Motion.state == "draft")
        .values(seconds=Motion.seconds + 1)
        .returning(Motion.seconds)
    )
    if seconds is None:
        raise MotionMoved
    voting = await in_force(work, Voting)
    if seconds >= voting.document.seconders:
        await work.session.execute(
            update(Motion)
            .where(Motion.id == motion_id, Motion.state == "draft")
            .values(state="discussion", seconded_at=work.now)
        )
    return await get(work, motion_id)


async def argue_against(work: UnitOfWork, motion_id: UUID, account_id: UUID, argument: str) -> Motion:
    """Write the argument against, with as much room as the one for; whoever wrote it first may amend it."""
    await electorate.require(work, account_id)
    motion = await get(work, motion_id)
    if motion.proposer_id == account_id:
        raise NotAllowed("Somebody else has to write the argument against your motion.")
    written = await work.session.execute(
        update(Motion)
        .where(
            Motion.id == motion_id,
            Motion.state.in_(["draft", "discussion"]),
            (Motion.argument_against_by.is_(None)) | (Motion.argument_against_by == account_id),
        )
        .values(
            argument_against=_words(argument, LONGEST_ARGUMENT, "argument"), argument_against_by=account_id
        )
    )
    if not written.rowcount:  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult
        raise MotionMoved("Another member has written the argument against, or the text is frozen by now.")
    return await get(work, motion_id)


async def amend(
    work: UnitOfWork, motion_id: UUID, account_id: UUID, *, text: str, argument_for: str
) -> Motion:
    """Amend the words of one's own motion before they are frozen; what it changes in law stays as proposed."""
    motion = await get(work, motion_id)
    if motion.proposer_id != account_id:
        raise NotYours
    await _guarded(
        work,
        motion_id,
        text=_words(text, LONGEST_TEXT, "text"),
        argument_for=_words(argument_for, LONGEST_ARGUMENT, "argument_for"),
    )
    return await get(work, motion_id)


async def withdraw(work: UnitOfWork, motion_id: UUID, account_id: UUID) -> Motion:
    """Take one's own motion back, as long as it is not announced."""
    motion = await get(work, motion_id)
    if motion.proposer_id != account_id:
        raise NotYours
    await _guarded(work, motion_id, state="withdrawn")
    return await get(work, motion_id)


def freezes_at(motion: Motion, voting: Voting) -> datetime | None:
    """Return from when on the text may be frozen: discussed for long enough, and not postponed."""
    if motion.seconded_at is None:
        return None
    discussed = motion.seconded_at + timedelta(days=voting.discussion_days)
    return max(discussed, motion.postponed_until or discussed)


async def _guarded(work: UnitOfWork, motion_id: UUID, **values: str) -> None:
    moved = await work.session.execute(
        update(Motion)
        .where(Motion.id == motion_id, Motion.state.in_(["draft", "discussion"]))
        .values(**values)
    )
    if not moved.rowcount:  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult
        raise MotionMoved


def _line(title: str) -> str:
    line = " ".join(title.split())
    if not line or len(line) > LONGEST_TITLE or not line.isprintable():
        raise BadMotion("Give the motion a title of at most 120 characters.", field="title")
    return line


def _words(text: str, longest: int, field: str) -> str:
    words = text.strip().replace("\r\n", "\n")
    if not words or len(words) > longest or any(ord(c) < 0x20 and c not in "\n\t" for c in words):  # noqa: PLR2004 - control characters
        raise BadMotion(
            Sentence("Write between one and %(most)s characters here.", most=longest), field=field
        )
    return words
