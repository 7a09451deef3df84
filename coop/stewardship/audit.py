"""The audit log: who did what, about whom and why; rows are added, never altered.

Triggers in the database refuse every change and removal, on both engines, so that not even a fault of ours can
rewrite what a steward did.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Integer, String, select
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid
from coop.unit_of_work import UnitOfWork

LONGEST_REASON = 500


class ReasonMissing(Invalid):
    """Write the reason in one line of at most 500 characters; the log keeps it for good."""

    code = "reason_missing"


class AuditEntry(Base):
    """One act of a steward, of the operator at the command line, or of the cooperative itself."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True, init=False
    )
    at: Mapped[datetime]
    act: Mapped[str] = mapped_column(String(60))
    reason: Mapped[str] = mapped_column(String(LONGEST_REASON))
    # Bare identifiers and no foreign keys: the log outlives the people it speaks of, and erasure leaves them nameless.
    actor_id: Mapped[UUID | None] = mapped_column(default=None)
    about_id: Mapped[UUID | None] = mapped_column(default=None, index=True)
    subject: Mapped[str] = mapped_column(String(200), default="")


async def record(
    work: UnitOfWork,
    *,
    act: str,
    reason: str,
    actor: UUID | None,
    about: UUID | None = None,
    subject: str = "",
) -> AuditEntry:
    """Write down an act; no `actor` means the operator of the machine, at the command line."""
    entry = AuditEntry(
        at=work.now, act=act, reason=checked(reason), actor_id=actor, about_id=about, subject=subject
    )
    work.session.add(entry)
    await work.session.flush()
    return entry


async def about(work: UnitOfWork, account_id: UUID, *, limit: int = 100) -> Sequence[AuditEntry]:
    """Return what was done about a person, the latest first; their own page shows it to them."""
    found = select(AuditEntry).where(AuditEntry.about_id == account_id).order_by(AuditEntry.id.desc())
    return (await work.session.scalars(found.limit(limit))).all()


async def latest(work: UnitOfWork, *, limit: int = 100) -> Sequence[AuditEntry]:
    """Return the latest acts, the latest first."""
    return (await work.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit))).all()


def checked(reason: str) -> str:
    """Return `reason` on one line, or refuse an empty or endless one."""
    line = " ".join(reason.split())
    if not line or len(line) > LONGEST_REASON or not line.isprintable():
        raise ReasonMissing(field="reason")
    return line
