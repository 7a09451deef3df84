"""Browser sessions: server-side rows behind an opaque cookie, with an idle and an absolute limit."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, ForeignKey, LargeBinary, String, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.dml import ReturningDelete

from coop.database import Base
from coop.errors import NotAllowed, NotSignedIn
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.outbox import Event
from coop.unit_of_work import UnitOfWork, new_id

IDLE = timedelta(days=14)
ABSOLUTE = timedelta(days=90)
GLANCE = timedelta(minutes=5)
"""How much older `last_seen_at` may be than the truth, so that reading pages rarely writes."""
RECENT = timedelta(minutes=15)
"""How long ago a person may have signed in before they do what cannot be taken back."""


class AccountLocked(NotAllowed):
    """This account is locked. Write to the stewards, who owe you a reason and an appeal."""

    code = "account_locked"
    title = "This account is locked"


class SignInAgain(NotSignedIn):
    """Sign in again: it has been a while, and this cannot be undone by anybody but you."""

    code = "sign_in_again"
    title = "Sign in again"

    def __init__(self, next_path: str | None = None):
        """Lead back to `next_path` afterwards, or to the page that was asked for."""
        super().__init__()
        self.next_path = next_path


class SessionEnded(Event, frozen=True):
    """A browser was signed out, or somebody else signed in in it; a session that merely expired is not announced."""

    account_id: UUID
    session_id: UUID
    """Its lineage."""


class CredentialsChanged(Event, frozen=True):
    """A password was set, changed or recovered, or a passkey removed; what was opened before it should close."""

    account_id: UUID
    at: datetime
    kept: UUID | None = None
    """The lineage of the session in which it was done, which stays."""


class BrowserSession(Base):
    """One signed-in browser; the cookie's secret is known to the browser only."""

    __tablename__ = "browser_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True, repr=False)
    authenticated_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    amr_methods: Mapped[list[str]] = mapped_column(JSON)
    user_agent: Mapped[str] = mapped_column(String(200), default="", repr=False)
    lineage: Mapped[UUID] = mapped_column(index=True)
    """By what networks know the session: whoever proves themselves again in the same browser goes on in it."""

    @property
    def amr(self) -> tuple[str, ...]:
        """The authentication methods of this session (RFC 8176)."""
        return tuple(self.amr_methods)


def digest(secret: str) -> bytes:
    """Return what is stored of a random secret; it has 256 bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


async def begin(
    work: UnitOfWork,
    account: Account,
    *,
    amr: tuple[str, ...],
    user_agent: str,
    lineage: UUID | None = None,
) -> tuple[BrowserSession, str]:
    """Sign `account` in in one browser, always under a new identifier; return the row and the cookie's secret."""
    secret = secrets.token_urlsafe(32)
    session_id = new_id()
    session = BrowserSession(
        id=session_id,
        account_id=account.id,
        digest=digest(secret),
        authenticated_at=work.wall,
        last_seen_at=work.wall,
        expires_at=work.wall + ABSOLUTE,
        amr_methods=list(amr),
        user_agent=user_agent[:200],
        lineage=lineage or session_id,
    )
    work.session.add(session)
    return session, secret


async def resume(work: UnitOfWork, secret: str) -> tuple[BrowserSession, Account] | None:
    """Return the live session behind a cookie with its account, or nothing."""
    found = (
        await work.session.execute(
            select(BrowserSession, Account)
            .join(Account, Account.id == BrowserSession.account_id)
            .where(
                BrowserSession.digest == digest(secret),
                BrowserSession.expires_at > work.wall,
                BrowserSession.last_seen_at > work.wall - IDLE,
                Account.locked_at.is_(None),
                Account.erased_at.is_(None),
            )
        )
    ).first()
    return None if found is None else (found[0], found[1])


async def open_for(
    work: UnitOfWork,
    account_id: UUID,
    *,
    amr: tuple[str, ...],
    user_agent: str,
    password_digest: str | None = None,
    instead_of: str | None = None,
) -> str | None:
    """Sign in whoever has just proved to be the account's owner, and return the cookie's secret.

    The account is held, since it may have changed while the proof was examined: a password that was changed in the
    meantime opens nothing. The browser's former session, if there was one, ends; if it was the same person's, what it
    opened on networks goes on in the new one.
    """
    account = await accounts.hold(work, account_id)
    if account.erased_at is not None or (
        password_digest is not None and account.password_digest != password_digest
    ):
        return None
    if account.locked_at is not None:
        raise AccountLocked
    lineage = None
    if instead_of:
        former = (await work.session.execute(_ended(BrowserSession.digest == digest(instead_of)))).first()
        if former is not None and former.account_id == account_id:
            lineage = former.lineage
        elif former is not None:
            work.publish(SessionEnded(account_id=former.account_id, session_id=former.lineage))
    _, secret = await begin(work, account, amr=amr, user_agent=user_agent, lineage=lineage)
    return secret


async def touch(work: UnitOfWork, session_id: UUID) -> None:
    """Note that the session is in use."""
    await work.session.execute(
        update(BrowserSession)
        .where(BrowserSession.id == session_id, BrowserSession.last_seen_at < work.wall)
        .values(last_seen_at=work.wall)
    )


def require_recent(
    authenticated_at: datetime, wall: datetime, *, within: timedelta = RECENT, next_path: str | None = None
) -> None:
    """Refuse a session whose owner proved themselves too long ago for what they are about to do."""
    if wall - authenticated_at > within:
        raise SignInAgain(next_path)


async def of_account(work: UnitOfWork, account_id: UUID) -> list[BrowserSession]:
    """Return the browsers that are signed in, the one seen last first."""
    return list(
        await work.session.scalars(
            select(BrowserSession)
            .where(
                BrowserSession.account_id == account_id,
                BrowserSession.expires_at > work.wall,
                BrowserSession.last_seen_at > work.wall - IDLE,
            )
            .order_by(BrowserSession.last_seen_at.desc(), BrowserSession.id)
        )
    )


async def hold(work: UnitOfWork, session_id: UUID) -> BrowserSession:
    """Return the session and keep it from ending until this unit does: what is granted in it now ends with it."""
    held = await work.session.scalar(
        select(BrowserSession).where(BrowserSession.id == session_id).with_for_update(read=True)
    )
    if held is None:
        raise NotSignedIn
    return held


async def end_own(work: UnitOfWork, account_id: UUID, session_id: UUID) -> list[SessionEnded]:
    """Sign out one browser of this very account; another person's session is left alone."""
    return await _end(work, BrowserSession.id == session_id, BrowserSession.account_id == account_id)


async def end(work: UnitOfWork, session_id: UUID) -> list[SessionEnded]:
    """Sign one browser out."""
    return await _end(work, BrowserSession.id == session_id)


async def end_all(
    work: UnitOfWork, account_id: UUID, *, keep: UUID | None = None, announced: bool = True
) -> list[SessionEnded]:
    """Sign every browser of an account out, but the one to `keep`."""
    doomed = BrowserSession.account_id == account_id
    if keep is not None:
        doomed &= BrowserSession.id != keep
    return await _end(work, doomed, announced=announced)


async def end_with_credential(work: UnitOfWork, account_id: UUID, *, keep: UUID | None = None) -> None:
    """Sign every browser out but the one in which a way in has just been changed, and announce the change."""
    await end_all(work, account_id, keep=keep)
    kept = None if keep is None else await work.session.get(BrowserSession, keep)
    lineage = None if kept is None else kept.lineage
    work.publish(CredentialsChanged(account_id=account_id, at=work.wall, kept=lineage))


async def _end(work: UnitOfWork, *which: ColumnElement[bool], announced: bool = True) -> list[SessionEnded]:
    """End sessions and announce it; what is returned is for whoever will not wait for the announcement."""
    ended = [
        SessionEnded(account_id=account_id, session_id=lineage)
        for account_id, lineage in await work.session.execute(_ended(*which))
    ]
    for each in ended if announced else ():
        work.publish(each)
    return ended


def _ended(*which: ColumnElement[bool]) -> ReturningDelete[UUID, UUID]:
    return delete(BrowserSession).where(*which).returning(BrowserSession.account_id, BrowserSession.lineage)
