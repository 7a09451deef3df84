"""Asking to have an account erased: the days in which one may change one's mind, and what has to be settled first.

Until its day nothing changes but that no renewal is charged. On its day `coop.leaving.erasing` takes over, and from then on
there is no way back.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, exists, select, update
from sqlalchemy.orm import Mapped, aliased, mapped_column

from coop import policies
from coop.billing import erasing as billing
from coop.database import Base, changed
from coop.errors import Refused
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.leaving import letters
from coop.networks.admins import NetworkAdmin
from coop.networks.networks import Network
from coop.policies import Privacy
from coop.stewardship import audit, roles
from coop.stewardship.roles import Role, RoleName
from coop.unit_of_work import UnitOfWork

State = Literal["asked", "closing", "forgetting", "done"]
IN_WRITING = timedelta(days=14)
"""The least time between a request in writing and its day: whoever did not make it must be able to say so."""


class LastSteward(Refused):
    """You are the last who holds an office of this cooperative. Have it given to somebody else first, so that it can go on."""

    code = "last_steward"


class LastAdmin(Refused):
    """You are the only admin of a network. Name another one on its console first, or have the network removed."""

    code = "only_network_admin"


class ErasureBegun(Refused):
    """Your account is being erased at this moment; there is no way back any more."""

    code = "erasure_begun"


class Erasure(Base):
    """A request to be erased, and how far it has come; it stays as proof that it was done, and leads to nobody."""

    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint("state IN ('asked', 'closing', 'forgetting', 'done')", name="state"),
        CheckConstraint("(state = 'done') = (done_at IS NOT NULL)", name="done"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(index=True)
    in_writing: Mapped[bool] = mapped_column(default=False)
    """It was asked in writing, and entered by whoever runs the service."""
    paused: Mapped[list[str]] = mapped_column(JSON, default_factory=list)
    """The renewals that were stopped for it, to go on if the person stays."""
    state: Mapped[State] = mapped_column(String(10), default="asked", index=True)
    done_at: Mapped[datetime | None] = mapped_column(default=None)


async def of(work: UnitOfWork, account_id: UUID) -> Erasure | None:
    """Return the request of an account, if there is one."""
    return await work.session.get(Erasure, account_id, populate_existing=True)


async def days(work: UnitOfWork) -> timedelta:
    """Return how long a person may change their mind."""
    return timedelta(days=(await policies.in_force(work, Privacy)).document.erasure_days)


async def offices(work: UnitOfWork, account_id: UUID) -> None:
    """Refuse whoever is the last to hold an office: a cooperative or a network must not be left with nobody."""
    if await alone_as(work, account_id):
        raise LastSteward
    if await alone_in(work, account_id):
        raise LastAdmin


async def alone_as(work: UnitOfWork, account_id: UUID) -> list[RoleName]:
    """Return the roles that nobody holds but this account."""
    alone = []
    for role in await roles.held(work, account_id):
        others = exists().where(
            Role.role == role,
            Role.account_id != account_id,
            Role.account_id == Account.id,
            Account.erased_at.is_(None),
            Account.locked_at.is_(None),
            *roles.living(work),
        )
        if not await work.session.scalar(select(others)):
            alone.append(role)
    return alone


async def alone_in(work: UnitOfWork, account_id: UUID) -> Sequence[str]:
    """Return the names of the networks that have no admin but this account."""
    another = aliased(NetworkAdmin)
    other = exists().where(
        another.network_id == Network.id,
        another.account_id != account_id,
        another.account_id == Account.id,
        Account.erased_at.is_(None),
    )
    found = (
        select(Network.name)
        .join(NetworkAdmin, NetworkAdmin.network_id == Network.id)
        .where(NetworkAdmin.account_id == account_id, ~other)
        .order_by(Network.name)
    )
    return (await work.session.scalars(found)).all()


async def ask(work: UnitOfWork, account_id: UUID, *, in_writing: str | None = None) -> Erasure:
    """Ask for erasure; asking again changes nothing. `in_writing` is the reason where a steward enters a written request."""
    account = await accounts.hold(work, account_id)
    known = await of(work, account_id)
    if known is not None:
        return known
    await offices(work, account_id)
    wait = await days(work)
    if in_writing is not None:
        wait = max(wait, IN_WRITING)
        await audit.record(work, act="member.erasure_asked", reason=in_writing, actor=None, about=account_id)
    erasure = Erasure(
        account_id=account_id,
        asked_at=work.now,
        due_at=work.now + wait,
        in_writing=in_writing is not None,
        paused=await billing.pause(work, account_id),
    )
    work.session.add(erasure)
    await work.session.flush()
    letters.post(work, account, letters.ASKED, due_at=erasure.due_at)
    return erasure


async def keep(work: UnitOfWork, account_id: UUID) -> bool:
    """Keep the account after all; false if nothing was asked. Of this and the day itself, the first to come counts."""
    account = await accounts.hold(work, account_id)
    known = await of(work, account_id)
    if known is None:
        return False
    if known.state != "asked":
        raise ErasureBegun
    paused = known.paused
    await work.session.delete(known)
    await work.session.flush()
    await billing.resume(work, paused)
    letters.post(work, account, letters.KEPT)
    return True


async def put_off(work: UnitOfWork, account_id: UUID) -> None:
    """Try again tomorrow: its owner has become the last to hold an office meanwhile, and is written to."""
    account = await accounts.hold(work, account_id)
    if await changed(
        work.session,
        update(Erasure)
        .where(Erasure.account_id == account_id, Erasure.state == "asked", Erasure.due_at <= work.now)
        .values(due_at=work.now + timedelta(days=1)),
    ):
        letters.post(work, account, letters.PUT_OFF)
