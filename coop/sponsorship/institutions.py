"""Institutions: organisations that sponsor, and whether they want to be named for it.

To be named is their own choice, can be taken back at any moment, and waits for a treasurer who has seen that they are who
they say. It buys nothing else: nobody chooses who is given a place.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid, NotFound
from coop.identity.accounts import Account
from coop.stewardship import audit
from coop.unit_of_work import UnitOfWork

LONGEST = 100


class BadName(Invalid):
    """Write the organisation's name in one line of at most 100 characters."""

    code = "bad_institution_name"


class NoSuchInstitution(NotFound):
    """No organisation of that account sponsors here."""

    code = "no_such_institution"


class Institution(Base):
    """An organisation that sponsors through an account."""

    __tablename__ = "institutions"
    __table_args__ = (
        CheckConstraint("(confirmed_at IS NULL) OR named", name="confirmed"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST))
    named: Mapped[bool]
    """It wants to be named in public."""
    introduced_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None] = mapped_column(default=None)
    """When a treasurer found that the name is its own; another name must be confirmed again."""


def checked(name: str) -> str:
    """Return a name on one line, or refuse one that is empty, endless or not to be read."""
    line = " ".join(name.split())
    if not line or len(line) > LONGEST or not line.isprintable():
        raise BadName(field="name")
    return line


async def introduce(work: UnitOfWork, account_id: UUID, *, name: str, named: bool) -> Institution:
    """Say for which organisation an account sponsors, and whether it wants to be named."""
    name = checked(name)
    found = await work.session.get(Institution, account_id, populate_existing=True)
    if found is None:
        found = Institution(account_id=account_id, name=name, named=named, introduced_at=work.now)
        work.session.add(found)
    elif (found.name, found.named) != (name, named):
        found.name, found.named, found.confirmed_at = name, named, None
    await work.session.flush()
    return found


async def of(work: UnitOfWork, account_id: UUID) -> Institution | None:
    """Return the organisation for which an account sponsors."""
    return await work.session.get(Institution, account_id)


async def listed(work: UnitOfWork) -> Sequence[tuple[str, Institution]]:
    """Return every institution with the handle of its account, the newest first, for the treasurer."""
    rows = await work.session.execute(
        select(Account.handle, Institution)
        .join(Account, Account.id == Institution.account_id)
        .order_by(Institution.introduced_at.desc(), Account.handle)
    )
    return [(handle, institution) for handle, institution in rows]


async def confirm(work: UnitOfWork, account_id: UUID, *, actor: UUID | None, reason: str) -> Institution:
    """Let an institution that wants it be named; the audit log keeps by whom and why."""
    found = await work.session.get(Institution, account_id, populate_existing=True)
    if found is None or not found.named:
        raise NoSuchInstitution
    await audit.record(
        work, act="institution_confirmed", reason=reason, actor=actor, about=account_id, subject=found.name
    )
    found.confirmed_at = work.now
    await work.session.flush()
    return found
