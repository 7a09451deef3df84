"""Notices of logout: whom a member's sign-out must reach, kept until it has, as receipts that the member can see.

A notice is written in the transaction that ends something, and carried to the client by the worker as a logout token
(OpenID Connect Back-Channel Logout 1.0). Sending is in `coop.authorization.backchannel`.
"""

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Select,
    String,
    UniqueConstraint,
    delete,
    or_,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop.authorization.clients import Client
from coop.authorization.grants import Grant
from coop.database import Base, insert_once
from coop.unit_of_work import UnitOfWork, Units, new_id

KEPT = timedelta(days=30)
REFUSED = 400
"""The status by which a client says that it could not sign the member out (section 2.8)."""


class Receipt(enum.StrEnum):
    """What became of a notice, in the eyes of the member."""

    SIGNED_OUT = "signed_out"
    ON_ITS_WAY = "on_its_way"
    TRIED_AGAIN = "tried_again"
    REFUSED = "refused"
    NOT_REACHED = "not_reached"


class LogoutNotice(Base):
    """One client to be told that a session of a member, or with no session everything of theirs, has ended."""

    __tablename__ = "logout_notices"
    __table_args__ = (UniqueConstraint("client_id", "account_id", "occasion", "session_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    session_id: Mapped[UUID | None]
    """The lineage of the browser session; with none, the client is to forget every session of the member."""
    occasion: Mapped[UUID]
    """What ended: a client is told of it once, however often it is said."""
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    """When it is tried next; empty once it was taken, refused or given up."""
    attempts: Mapped[int] = mapped_column(default=0)
    delivered_at: Mapped[datetime | None] = mapped_column(default=None)
    lease: Mapped[UUID | None] = mapped_column(default=None)
    leased_until: Mapped[datetime | None] = mapped_column(default=None)
    last_status: Mapped[int | None] = mapped_column(default=None)
    last_failure: Mapped[str | None] = mapped_column(String(60), default=None)

    @property
    def receipt(self) -> Receipt:
        """What became of it."""
        if self.delivered_at is not None:
            return Receipt.SIGNED_OUT
        if self.due_at is not None:
            return Receipt.TRIED_AGAIN if self.last_status or self.last_failure else Receipt.ON_ITS_WAY
        return Receipt.REFUSED if self.last_status == REFUSED else Receipt.NOT_REACHED


async def of_session(work: UnitOfWork, account_id: UUID, session_id: UUID) -> None:
    """Tell every client that was signed in to in a browser session that it has ended; saying it again changes nothing."""
    told = _signed_in(account_id).where(Grant.session_id == session_id)
    for client_id, session in await work.session.execute(told):
        await _write(work, client_id, account_id, session, occasion=session)


async def of_sessions_before(
    work: UnitOfWork, account_id: UUID, moment: datetime, *, kept: UUID | None
) -> None:
    """Tell the clients of all that was granted by `moment` and still held then, but in the session that is `kept`."""
    told = _signed_in(account_id).where(Grant.created_at <= moment, _held_at(moment))
    if kept is not None:
        told = told.where(Grant.session_id != kept)
    for client_id, session in await work.session.execute(told):
        await _write(work, client_id, account_id, session, occasion=session)


async def of_client(work: UnitOfWork, client: Client, account_id: UUID) -> None:
    """Tell one client that all sessions of a member with it have ended."""
    if client.backchannel_logout_uri is None:
        return
    sessions: Sequence[UUID | None] = [None]
    if client.backchannel_logout_session_required:
        # It registered that it only understands tokens that name a session.
        told = _signed_in(account_id).where(Client.id == client.id, _held_at(work.wall))
        sessions = [session for _, session in await work.session.execute(told)]
    occasion = new_id()
    for session in sessions:
        await _write(work, client.id, account_id, session, occasion=occasion)


async def receipts(
    work: UnitOfWork, account_id: UUID, *, most: int = 50
) -> list[tuple[LogoutNotice, Client]]:
    """Return what the member may know of their latest sign-outs, the newest first."""
    rows = await work.session.execute(
        select(LogoutNotice, Client)
        .join(Client, Client.id == LogoutNotice.client_id)
        .where(LogoutNotice.account_id == account_id)
        .order_by(LogoutNotice.created_at.desc(), Client.name, LogoutNotice.id)
        .limit(most)
    )
    return [(notice, client) for notice, client in rows]


async def forget_old(units: Units) -> None:
    """Drop the receipts of a month ago (a recurring job)."""
    async with units.open() as work:
        await work.session.execute(
            delete(LogoutNotice).where(LogoutNotice.created_at < work.wall - KEPT, ~unsettled())
        )


def unsettled() -> ColumnElement[bool]:
    """Return the condition for notices that will be tried again."""
    return LogoutNotice.due_at.is_not(None)


def _signed_in(account_id: UUID) -> Select[UUID, UUID]:
    """Return the query for clients that a member has signed in to and that can be told, with the sessions it was done in."""
    return (
        select(Client.id, Grant.session_id)
        .join(Grant, Grant.client_id == Client.id)
        # A code that nobody redeemed signed nobody in.
        .where(
            Grant.account_id == account_id,
            Grant.code_used_at.is_not(None),
            Client.backchannel_logout_uri.is_not(None),
        )
        .distinct()
    )


def _held_at(moment: datetime) -> ColumnElement[bool]:
    return or_(Grant.revoked_at.is_(None), Grant.revoked_at >= moment)


async def _write(
    work: UnitOfWork, client_id: UUID, account_id: UUID, session_id: UUID | None, *, occasion: UUID
) -> None:
    await insert_once(
        work.session,
        LogoutNotice,
        id=new_id(),
        client_id=client_id,
        account_id=account_id,
        session_id=session_id,
        occasion=occasion,
        created_at=work.wall,
        due_at=work.wall,
        attempts=0,
    )
