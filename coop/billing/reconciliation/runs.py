"""Runs: one reconciliation from its beginning to its end, and what stewards read of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, String, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.billing.reconciliation import differences
from coop.billing.reconciliation.tally import Tally
from coop.database import Base
from coop.unit_of_work import UnitOfWork, new_id

KEPT = timedelta(days=90)


class Run(Base):
    """One reconciliation; without `ended_at` it is under way, or died."""

    __tablename__ = "stripe_reconciliations"
    __table_args__ = (
        CheckConstraint(
            "looked >= 0 AND healed >= 0 AND opened >= 0 AND closed >= 0 AND still_open >= 0", name="counts"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    began_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    looked: Mapped[int] = mapped_column(default=0)
    healed: Mapped[int] = mapped_column(default=0)
    opened: Mapped[int] = mapped_column(default=0)
    closed: Mapped[int] = mapped_column(default=0)
    still_open: Mapped[int] = mapped_column(default=0)
    failed: Mapped[str] = mapped_column(String(500), default="")
    """The steps that did not come to their end, apart by commas."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one reconciliation did."""

    ok: bool
    """Everything was looked at, and nothing differs."""
    looked: int
    """Objects at Stripe that were held against the books."""
    healed: int
    """Things that a lost webhook or answer would have told, and that are booked now."""
    opened: int
    closed: int
    open: int
    """Differences that are open now."""
    failed: tuple[str, ...]
    """Steps that did not come to their end; the next run goes on with them."""
    names: tuple[tuple[str, str], ...]
    """The first of what healed: which way, and the object at Stripe."""


async def begin(work: UnitOfWork) -> UUID:
    """Write down that a run begins, and forget those of long ago."""
    await work.session.execute(delete(Run).where(Run.began_at < work.wall - KEPT))
    run = Run(began_at=work.wall)
    work.session.add(run)
    await work.session.flush()
    return run.id


async def end(work: UnitOfWork, run_id: UUID, tally: Tally) -> Report:
    """Write down what a run did."""
    still_open = await differences.count(work)
    failed = tuple(dict.fromkeys(tally.failed))
    await work.session.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(
            ended_at=work.wall,
            looked=tally.looked,
            healed=tally.healed,
            opened=tally.opened,
            closed=tally.closed,
            still_open=still_open,
            failed=", ".join(failed)[:500],
        )
    )
    return Report(
        ok=not failed and not still_open,
        looked=tally.looked,
        healed=tally.healed,
        opened=tally.opened,
        closed=tally.closed,
        open=still_open,
        failed=failed,
        names=tuple(tally.names),
    )


async def latest(work: UnitOfWork, *, most: int = 1) -> Sequence[Run]:
    """Return the runs that came to their end, the last first."""
    statement = select(Run).where(Run.ended_at.is_not(None)).order_by(Run.began_at.desc(), Run.id)
    return (await work.session.scalars(statement.limit(most))).all()


def schema() -> bytes:
    """Return the JSON Schema of the report, as docs/schemas keeps it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Report), order="sorted"), indent=2)
