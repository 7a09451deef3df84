"""The electoral roll: who may vote on a motion, frozen at its record date.

Members of at least the set age are on it, whoever paid for their year: nothing here looks at money. A membership that
lapses during the vote keeps its vote; whoever joins during it waits for the next motion.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, delete, false, func, insert, literal, select, true
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.governance import electorate
from coop.governance.motions import Motion
from coop.money import WHOLE
from coop.policies import Voting
from coop.unit_of_work import UnitOfWork, Units

GROWTH_WINDOW = timedelta(days=30)
"""The roll is compared with what it would have been so long ago."""


class RollEntry(Base):
    """One member's right to vote on one motion, and whether it was used: never when, never how."""

    __tablename__ = "roll"
    # Without a row number, SQLite keeps no trace of the order in which rows were written.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy's own hook

    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motions.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    voted: Mapped[bool] = mapped_column(default=False)


async def freeze(work: UnitOfWork, motion_id: UUID) -> int:
    """Write the roll as of now and return its size: one statement, however many members there are."""
    entitled = (await electorate.entitled(work, work.now)).subquery()
    await work.session.execute(
        insert(RollEntry).from_select(
            ["motion_id", "account_id", "voted"],
            select(literal(motion_id, RollEntry.motion_id.type), entitled.c.account_id, false()),
        )
    )
    size = await work.session.scalar(
        select(func.count()).select_from(RollEntry).where(RollEntry.motion_id == motion_id)
    )
    return size or 0


async def grew_too_fast(work: UnitOfWork, voting: Voting) -> bool:
    """Tell whether the roll grew by more than the voting policy lets it grow in thirty days.

    It keeps a sudden crowd of new members from deciding before the others have even noticed it.
    """
    before = await _size(work, work.now - GROWTH_WINDOW)
    now = await _size(work, work.now)
    return (now - before) * WHOLE > before * voting.max_growth


async def used(work: UnitOfWork, motion_id: UUID, account_id: UUID) -> bool | None:
    """Tell whether a member has voted on a motion; nothing if they are not on its roll."""
    return await work.session.scalar(
        select(RollEntry.voted).where(RollEntry.motion_id == motion_id, RollEntry.account_id == account_id)
    )


async def turnout(work: UnitOfWork, motion_id: UUID) -> int:
    """Return how many have voted so far."""
    counted = select(func.count()).select_from(RollEntry)
    return (
        await work.session.scalar(counted.where(RollEntry.motion_id == motion_id, RollEntry.voted == true()))
        or 0
    )


async def awaiting(work: UnitOfWork, account_id: UUID) -> list[Motion]:
    """Return the open motions that wait for this member's vote, those that close first at the top."""
    found = (
        select(Motion)
        .join(RollEntry, RollEntry.motion_id == Motion.id)
        .where(
            RollEntry.account_id == account_id,
            RollEntry.voted == false(),
            Motion.state == "open",
            Motion.closes_at > work.now,
        )
        .order_by(Motion.closes_at, Motion.id)
    )
    return list(await work.session.scalars(found))


async def forget_due(units: Units) -> None:
    """Forget who voted once a decision has taken effect, or would have; until then a count can be contested."""
    async with units.read() as work:
        due = (
            select(RollEntry.motion_id)
            .distinct()
            .join(Motion, Motion.id == RollEntry.motion_id)
            .where(Motion.state.in_(["lost", "executed", "not_executed"]), Motion.effective_at <= work.now)
        )
        motions = (await work.session.scalars(due)).all()
    for motion_id in motions:
        async with units.open() as work:
            await work.session.execute(delete(RollEntry).where(RollEntry.motion_id == motion_id))


async def _size(work: UnitOfWork, instant: datetime) -> int:
    entitled = (await electorate.entitled(work, instant)).subquery()
    return await work.session.scalar(select(func.count()).select_from(entitled)) or 0
