"""Ways back in: a link by mail, or a recovery code. Neither tells a stranger whether an account exists."""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, delete, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid
from coop.identity import accounts, letters, links, sessions, throttle
from coop.identity.accounts import Account
from coop.outbox import Event
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

CODES = 10
_ALPHABET = "abcdefghjkmnpqrstvwxyz23456789"
"""Thirty characters that nobody mistakes for each other; sixteen of them are 78 bits."""
_LENGTH = 16


class WrongCode(Invalid):
    """The handle and the recovery code do not belong together, or the code was used already."""

    code = "wrong_recovery_code"


class RecoveryAsked(Event, frozen=True):
    """Somebody typed `name` on the recovery page.

    The page records the same event whatever was typed and the worker finds out later whether it means anybody: so the
    answer, and the time it takes, cannot depend on it.
    """

    name: str


class RecoveryCode(Base):
    """A code that opens an account once; only a keyed digest of it is kept."""

    __tablename__ = "recovery_codes"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    used_at: Mapped[datetime | None] = mapped_column(default=None)


async def send_link(work: UnitOfWork, event: Event) -> None:
    """Send a way back in to whoever is meant, if their e-mail address is verified (carried out by the worker)."""
    if not isinstance(event, RecoveryAsked):
        return
    account = await accounts.by_name(work, event.name)
    if account is None or account.email is None or account.email_verified_at is None:
        return
    if account.erased_at is not None or await throttle.count(work, throttle.LETTERS.by(account.email)):
        return
    token = await links.make(work, "recover", account.id, account.email)
    link = f"/recover/password?token={token}"
    work.send(letters.written(letters.WAY_BACK, work.settings, account, to=account.email, link=link))


handlers: dict[type[Event], Callable[[UnitOfWork, Event], Awaitable[None]]] = {RecoveryAsked: send_link}


async def by_link(work: UnitOfWork, token: str, *, password_digest: str) -> Account:
    """Use the link up and set the new password."""
    proof = await links.use(work, "recover", token)
    account = await accounts.hold(work, proof.account_id)
    await set_password(work, account, password_digest)
    return account


async def by_code(work: UnitOfWork, account_id: UUID, code: str, *, password_digest: str) -> Account:
    """Use a recovery code up and set the new password; of two who use one at once, one succeeds."""
    used = await work.session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.digest == _digest(work.settings, account_id, code),
            RecoveryCode.account_id == account_id,
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=work.wall)
        .returning(RecoveryCode.digest)
    )
    if used.first() is None:
        raise WrongCode(field="code")
    account = await accounts.hold(work, account_id)
    await set_password(work, account, password_digest)
    return account


async def set_password(
    work: UnitOfWork, account: Account, password_digest: str, *, keep: UUID | None = None
) -> None:
    """Set the password, sign every other browser out, void links that were sent, and tell the owner."""
    account.password_digest = password_digest
    await sessions.end_with_credential(work, account.id, keep=keep)
    await links.void(work, account.id, "recover")
    if account.email is not None and account.email_verified_at is not None:
        work.send(
            letters.written(
                letters.PASSWORD_CHANGED, work.settings, account, to=account.email, link="/recover"
            )
        )


async def renew_codes(work: UnitOfWork, account_id: UUID) -> list[str]:
    """Return ten new recovery codes, to be shown once; the old ones open nothing any more."""
    await accounts.hold(work, account_id)
    await work.session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(CODES)]
    work.session.add_all(
        RecoveryCode(digest=_digest(work.settings, account_id, code), account_id=account_id) for code in codes
    )
    await work.session.flush()
    return ["-".join(code[i : i + 4] for i in range(0, _LENGTH, 4)) for code in codes]


async def codes_left(work: UnitOfWork, account_id: UUID) -> int:
    """Return how many recovery codes would still serve."""
    left = await work.session.scalar(
        select(func.count())
        .select_from(RecoveryCode)
        .where(RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None))
    )
    return left or 0


async def lacking(work: UnitOfWork, account: Account) -> bool:
    """Tell whether a lost password would lock this person out for good: no verified address, no codes."""
    return account.email_verified_at is None and not await codes_left(work, account.id)


def _digest(settings: Settings, account_id: UUID, code: str) -> bytes:
    plain = "".join(c for c in code.lower() if c in _ALPHABET)
    message = f"recovery code\0{account_id}\0{plain}".encode()
    return hmac.digest(settings.secret_key.encode(), message, hashlib.sha256)
