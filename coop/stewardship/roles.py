"""Roles of stewards: granted by an act of the members, and always with an end."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid, NotAllowed
from coop.stewardship import audit
from coop.unit_of_work import UnitOfWork, new_id

RoleName = Literal["steward", "treasurer", "admin", "auditor"]
ROLES: tuple[RoleName, ...] = get_args(RoleName)

LONGEST = timedelta(days=3 * 366)
"""No role lasts longer than three years without being granted again."""


class RoleMissing(NotAllowed):
    """That needs a steward's role that you do not hold, or whose term has ended."""

    code = "role_missing"


class BadRole(Invalid):
    """A role is steward, treasurer, admin or auditor, and ends within three years."""

    code = "bad_role"


class Role(Base):
    """A role that one person holds from one instant to another, and the act that gave it."""

    __tablename__ = "roles"
    __table_args__ = (
        CheckConstraint("role IN ('steward', 'treasurer', 'admin', 'auditor')", name="known"),
        CheckConstraint("expires_at > begins_at", name="ends"),
        # One living grant of a role to a person: a new one first ends the old.
        Index(
            "uq_roles_living",
            "account_id",
            "role",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    role: Mapped[RoleName] = mapped_column(String(20))
    begins_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    act: Mapped[str] = mapped_column(String(80))
    ended_at: Mapped[datetime | None] = mapped_column(default=None)


async def grant(
    work: UnitOfWork,
    account_id: UUID,
    role: RoleName,
    *,
    until: datetime,
    act: str,
    reason: str,
    actor: UUID | None = None,
) -> Role:
    """Give a role until an instant; `act` names what gave it: `founding` or `motion:<id>`.

    Granting again ends the grant that is running, so that terms never pile up.
    """
    if role not in ROLES or not work.now < until <= work.now + LONGEST:
        raise BadRole
    await _end(work, account_id, role)
    granted = Role(account_id=account_id, role=role, begins_at=work.now, expires_at=until, act=act)
    work.session.add(granted)
    await audit.record(work, act="role.granted", reason=reason, actor=actor, about=account_id, subject=role)
    return granted


async def end(
    work: UnitOfWork, account_id: UUID, role: RoleName, *, reason: str, actor: UUID | None = None
) -> bool:
    """Take a role back before its time; tell whether there was one to take."""
    ended = await _end(work, account_id, role)
    if ended:
        await audit.record(work, act="role.ended", reason=reason, actor=actor, about=account_id, subject=role)
    return ended


async def held(work: UnitOfWork, account_id: UUID) -> tuple[RoleName, ...]:
    """Return the roles that a person holds now, in alphabetical order."""
    found = select(Role.role).where(Role.account_id == account_id, *living(work)).order_by(Role.role)
    return tuple((await work.session.scalars(found)).all())


async def holders(work: UnitOfWork) -> Sequence[Role]:
    """Return every role that is held now, those that end first at the top."""
    return (await work.session.scalars(select(Role).where(*living(work)).order_by(Role.expires_at))).all()


async def require(work: UnitOfWork, account_id: UUID, *any_of: RoleName) -> None:
    """Refuse unless the person holds one of the roles now."""
    found = select(func.count()).where(Role.account_id == account_id, Role.role.in_(any_of), *living(work))
    if not await work.session.scalar(found):
        raise RoleMissing


def living(work: UnitOfWork) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which a grant is in force now."""
    return (
        Role.begins_at <= work.now,
        Role.expires_at > work.now,
        or_(Role.ended_at.is_(None), Role.ended_at > work.now),
    )


async def end_all(work: UnitOfWork, account_id: UUID, *, reason: str) -> None:
    """Take every role of a person back, since they are gone."""
    for role in await held(work, account_id):
        await end(work, account_id, role, reason=reason)


async def _end(work: UnitOfWork, account_id: UUID, role: RoleName) -> bool:
    ended = await work.session.execute(
        update(Role)
        .where(Role.account_id == account_id, Role.role == role, Role.ended_at.is_(None))
        .values(ended_at=work.now)
    )
    return bool(ended.rowcount)  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult
