"""Browser sessions: server-side rows behind an opaque cookie, with an idle and an absolute limit."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import NotAllowed, NotSignedIn
from coop.identity import accounts
from coop.identity.accounts import Account
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

    @property
    def amr(self) -> tuple[str, ...]:
        """The authentication methods of this session (RFC 8176)."""
        return tuple(self.amr_methods)


def digest(secret: str) -> bytes:
    """Return what is stored of a random secret; it has 256 bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


async def begin(
    work: UnitOfWork, account: Account, *, amr: tuple[str, ...], user_agent: str
) -> tuple[BrowserSession, str]:
    """Sign `account` in in one browser, always under a new identifier; return the row and the cookie's secret."""
    secret = secrets.token_urlsafe(32)
    session = BrowserSession(
        account_id=account.id,
        digest=digest(secret),
        authenticated_at=work.wall,
        last_seen_at=work.wall,
        expires_at=work.wall + ABSOLUTE,
        amr_methods=list(amr),
        user_agent=user_agent[:200],
    )
    work.session.add(session)
    await work.session.flush()
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
    meantime opens nothing. The browser's former session, if there was one, ends.
    """
    account = await accounts.hold(work, account_id)
    if account.erased_at is not None or (
        password_digest is not None and account.password_digest != password_digest
    ):
        return None
    if account.locked_at is not None:
        raise AccountLocked
    if instead_of:
        await work.session.execute(delete(BrowserSession).where(BrowserSession.digest == digest(instead_of)))
    _, secret = await begin(work, account, amr=amr, user_agent=user_agent)
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


async def end_own(work: UnitOfWork, account_id: UUID, session_id: UUID) -> None:
    """Sign out one browser of this very account; another person's session is left alone."""
    await work.session.execute(
        delete(BrowserSession).where(BrowserSession.id == session_id, BrowserSession.account_id == account_id)
    )


async def end(work: UnitOfWork, session_id: UUID) -> None:
    """Sign one browser out."""
    await work.session.execute(delete(BrowserSession).where(BrowserSession.id == session_id))


async def end_all(work: UnitOfWork, account_id: UUID, *, keep: UUID | None = None) -> None:
    """Sign every browser of an account out, but the one to `keep`."""
    doomed = delete(BrowserSession).where(BrowserSession.account_id == account_id)
    await work.session.execute(doomed if keep is None else doomed.where(BrowserSession.id != keep))
