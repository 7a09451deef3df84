"""Obstacles: what keeps a new year from beginning until it is settled, whoever would pay for it.

A dispute over an earlier payment is one. The running year goes on; what is refused is the next one, by card, from the
pool and as a gift alike, so that nobody is charged for what cannot begin.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base, insert_once
from coop.errors import Refused
from coop.unit_of_work import UnitOfWork


class DisputeOpen(Refused):
    """Your bank has taken an earlier payment back; a new year can begin once that is settled. Write to the treasurer."""

    code = "dispute_open"


class Obstacle(Base):
    """One thing to be settled first, named by what it stems from."""

    __tablename__ = "obstacles"

    source: Mapped[str] = mapped_column(String(300), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    since: Mapped[datetime]


async def put(work: UnitOfWork, account_id: UUID, source: str) -> None:
    """Keep an account from a new year until `source` is settled."""
    await insert_once(work.session, Obstacle, source=source, account_id=account_id, since=work.now)


async def clear(work: UnitOfWork, source: str) -> None:
    """Let new years begin again, as far as `source` is concerned."""
    await work.session.execute(delete(Obstacle).where(Obstacle.source == source))


async def none_before(work: UnitOfWork, account_id: UUID) -> None:
    """Refuse a new year to an account with something to be settled first."""
    if await work.session.scalar(
        select(func.count()).select_from(Obstacle).where(Obstacle.account_id == account_id)
    ):
        raise DisputeOpen
