"""Secret ballots: one for each member of the roll, in a row that knows nobody.

A ballot has a random id, a motion and a choice: no account, no time, no number. The roll says who has voted, in the
same unit of work, so that nobody votes twice. The two tables share nothing that would join a ballot to a person, and
`mix` rewrites both, under new ids and sorted, when the vote closes (and each hour while it is open), so that not even
the order in which an engine keeps its rows tells who came when. What remains is said in docs/voting.md: whoever copies
the running database's files or its write-ahead log can see which rows were written together. The ballots are therefore
secret from everybody who reads the database later, and not yet verifiable.

No function here logs, and none takes more about the voter than the roll needs.
"""

from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    String,
    delete,
    exists,
    false,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid, NotAllowed, Refused
from coop.governance.motions import Motion, NoSuchMotion
from coop.governance.roll import RollEntry, used
from coop.unit_of_work import UnitOfWork, Units, new_id

Choice = Literal["yes", "no", "abstain"]
CHOICES: tuple[Choice, ...] = get_args(Choice)


class BadChoice(Invalid):
    """Choose yes, no or abstain."""

    code = "bad_choice"


class VoteNotOpen(Refused):
    """The vote on this motion has not opened yet."""

    code = "vote_not_open"


class VoteClosed(Refused):
    """The vote on this motion has closed; no more ballots are taken."""

    code = "vote_closed"


class NotOnRoll(NotAllowed):
    """You are not on the roll of this motion: it was frozen before you had been a member for long enough."""

    code = "not_on_roll"


class AlreadyVoted(Refused):
    """You have voted on this motion already. Ballots are secret, so not even we can take yours back."""

    code = "already_voted"


class Ballot(Base):
    """One choice on one motion; whose it is, the database does not know."""

    __tablename__ = "ballots"
    __table_args__ = (
        CheckConstraint("choice IN ('yes', 'no', 'abstain')", name="choice"),
        # Without a row number, SQLite keeps rows by their random id only.
        {"sqlite_with_rowid": False},
    )

    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motions.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    choice: Mapped[Choice] = mapped_column(String(7), repr=False)


def read_choice(text: str) -> Choice:
    """Read a choice from a form."""
    for choice in CHOICES:
        if text == choice:
            return choice
    raise BadChoice(field="choice")


async def cast(work: UnitOfWork, motion_id: UUID, account_id: UUID, choice: Choice) -> None:
    """Use a member's one vote: mark the roll and drop the ballot, together or not at all."""
    # The shared lock makes the count wait for this ballot, and this ballot see the count (PostgreSQL;
    # SQLite has one writer anyway).
    motion = await work.session.scalar(
        select(Motion)
        .where(Motion.id == motion_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    if motion is None:
        raise NoSuchMotion
    marked = await work.session.execute(
        update(RollEntry)
        .where(
            RollEntry.motion_id == motion_id,
            RollEntry.account_id == account_id,
            RollEntry.voted == false(),
            exists().where(
                Motion.id == motion_id,
                Motion.state == "open",
                Motion.announced_at <= work.now,
                Motion.closes_at > work.now,
            ),
        )
        .values(voted=True)
        .execution_options(synchronize_session=False)
    )
    if not marked.rowcount:  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult
        raise await _why_not(work, motion, account_id) or AlreadyVoted
    await work.session.execute(insert(Ballot), [{"motion_id": motion_id, "id": new_id(), "choice": choice}])


async def require_open(work: UnitOfWork, motion: Motion, account_id: UUID) -> None:
    """Refuse whoever could not cast a ballot now; casting it asks again, under the lock."""
    refusal = await _why_not(work, motion, account_id)
    if refusal is not None:
        raise refusal


async def counts(work: UnitOfWork, motion_id: UUID) -> dict[Choice, int]:
    """Return how many ballots there are for each choice; nobody may see it before the close."""
    rows = await work.session.execute(
        select(Ballot.choice, func.count()).where(Ballot.motion_id == motion_id).group_by(Ballot.choice)
    )
    found: dict[Choice, int] = dict(rows.all())
    return {choice: found.get(choice, 0) for choice in CHOICES}


async def mix(work: UnitOfWork, motion_id: UUID) -> None:
    """Write ballots and roll anew, the ballots under new ids, both sorted: the order of voting is gone.

    The caller holds the motion's row, so that no ballot arrives meanwhile.
    """
    choices = await work.session.scalars(
        delete(Ballot).where(Ballot.motion_id == motion_id).returning(Ballot.choice)
    )
    ballots = [{"motion_id": motion_id, "id": new_id(), "choice": choice} for choice in choices]
    entries = await work.session.execute(
        delete(RollEntry)
        .where(RollEntry.motion_id == motion_id)
        .returning(RollEntry.account_id, RollEntry.voted)
    )
    roll = [{"motion_id": motion_id, "account_id": who, "voted": voted} for who, voted in entries]
    await work.session.execute(update(Motion).where(Motion.id == motion_id).values(mixed=len(ballots)))
    if ballots:
        await work.session.execute(insert(Ballot), sorted(ballots, key=lambda row: str(row["id"])))
    if roll:
        await work.session.execute(insert(RollEntry), sorted(roll, key=lambda row: str(row["account_id"])))


async def mix_open(units: Units) -> None:
    """Mix the ballots of every open motion that got some since the last time; a job to run hourly."""
    cast_now = (
        select(func.count())
        .where(RollEntry.motion_id == Motion.id, RollEntry.voted == true())
        .scalar_subquery()
    )
    async with units.read() as work:
        found = select(Motion.id).where(Motion.state == "open", Motion.mixed != cast_now)
        motions = (await work.session.scalars(found)).all()
    for motion_id in motions:
        async with units.open() as work:
            held = await work.session.scalar(
                select(Motion.id).where(Motion.id == motion_id, Motion.state == "open").with_for_update()
            )
            if held:
                await mix(work, motion_id)


async def _why_not(work: UnitOfWork, motion: Motion, account_id: UUID) -> Refused | NotAllowed | None:
    if motion.announced_at is None or work.now < motion.announced_at:
        return VoteNotOpen()
    if motion.state != "open" or motion.closes_at is None or work.now >= motion.closes_at:
        return VoteClosed()
    voted = await used(work, motion.id, account_id)
    if voted is None:
        return NotOnRoll()
    return AlreadyVoted() if voted else None
