"""Browser sessions: server-side rows behind an opaque cookie, with an idle and an absolute limit."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.identity.accounts import Account
from coop.unit_of_work import UnitOfWork, new_id

IDLE = timedelta(days=14)
ABSOLUTE = timedelta(days=90)


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


async def end(work: UnitOfWork, session_id: UUID) -> None:
    """Sign one browser out."""
    await work.session.execute(delete(BrowserSession).where(BrowserSession.id == session_id))


async def end_all(work: UnitOfWork, account_id: UUID, *, keep: UUID | None = None) -> None:
    """Sign every browser of an account out, but the one to `keep`."""
    doomed = delete(BrowserSession).where(BrowserSession.account_id == account_id)
    await work.session.execute(doomed if keep is None else doomed.where(BrowserSession.id != keep))
