"""Accounts: who signs in. No real name, and an e-mail only where the person gives one."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base, add_once, changed
from coop.errors import NotFound
from coop.identity import addresses, handles
from coop.identity.handles import BadHandle, HandleTaken
from coop.outbox import Event
from coop.unit_of_work import UnitOfWork, new_id

__all__ = [
    "Account",
    "AccountErased",
    "AccountLocked",
    "AccountRegistered",
    "AccountUnlocked",
    "BadHandle",
    "HandleTaken",
    "available",
    "by_handle",
    "by_name",
    "get",
    "hold",
    "lock",
    "register",
    "unlock",
]


class Account(Base):
    """A person's one account; its handle is immutable and never given to anybody else."""

    __tablename__ = "accounts"
    __table_args__ = (
        # Unique only once verified: else anybody could keep a stranger's address from its owner by typing it first.
        Index(
            "uq_accounts_verified_email",
            "email",
            unique=True,
            sqlite_where=text("email_verified_at IS NOT NULL"),
            postgresql_where=text("email_verified_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    handle: Mapped[str] = mapped_column(String(40), unique=True)
    skeleton: Mapped[str] = mapped_column(String(40), unique=True, init=False, repr=False)
    created_at: Mapped[datetime]
    display_name: Mapped[str | None] = mapped_column(String(60), default=None)
    email: Mapped[str | None] = mapped_column(String(254), default=None, repr=False)
    email_verified_at: Mapped[datetime | None] = mapped_column(default=None)
    locale: Mapped[str] = mapped_column(String(5), default="en")
    password_digest: Mapped[str | None] = mapped_column(String(200), default=None, repr=False)
    locked_at: Mapped[datetime | None] = mapped_column(default=None)
    erased_at: Mapped[datetime | None] = mapped_column(default=None)

    def __post_init__(self) -> None:
        """Derive what the handle looks like, which the database keeps unique."""
        self.skeleton = handles.skeleton(self.handle)


class AccountRegistered(Event, frozen=True):
    """Somebody has joined with an account of their own; they are not a member yet."""

    account_id: UUID


class AccountLocked(Event, frozen=True):
    """An account was locked: it signs in nowhere, and its networks are told to end its sessions."""

    account_id: UUID


class AccountUnlocked(Event, frozen=True):
    """The lock of an account was lifted."""

    account_id: UUID


class AccountErased(Event, frozen=True):
    """An account was erased; its networks are told as long as its links run, hence links are ended after this."""

    account_id: UUID


class NoAccount(NotFound):
    """There is no such account."""

    code = "no_account"


async def register(
    work: UnitOfWork,
    *,
    handle: str,
    email: str | None,
    password_digest: str | None,
    locale: str = "en",
    account_id: UUID | None = None,
) -> Account:
    """Open an account under `handle`; of any number who want the same one at once, one gets it."""
    account = Account(
        id=account_id or new_id(),
        handle=handles.checked(handle),
        email=addresses.checked(email or ""),
        password_digest=password_digest,
        locale=locale,
        created_at=work.now,
    )
    if not await add_once(work.session, account):
        raise HandleTaken(field="handle")
    # After the insert, which waits for an erasure that is under way: its retired handle is visible now.
    if await handles.retired(work, account.handle):
        raise HandleTaken(field="handle")
    work.publish(AccountRegistered(account_id=account.id))
    return account


async def get(work: UnitOfWork, account_id: UUID) -> Account:
    """Return the account, or refuse."""
    account = await work.session.get(Account, account_id)
    if account is None:
        raise NoAccount
    return account


async def hold(work: UnitOfWork, account_id: UUID) -> Account:
    """Return the account as it is now, and keep it so until this unit ends."""
    held = await work.session.scalar(
        select(Account)
        .where(Account.id == account_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if held is None:
        raise NoAccount
    return held


async def lock(work: UnitOfWork, account_id: UUID) -> bool:
    """Lock an account; every session and token of it is void from this moment. Tell whether it was open until now."""
    locked = (
        update(Account)
        .where(Account.id == account_id, Account.locked_at.is_(None), Account.erased_at.is_(None))
        .values(locked_at=work.now)
    )
    if not await changed(work.session, locked):
        return False
    work.publish(AccountLocked(account_id=account_id))
    return True


async def unlock(work: UnitOfWork, account_id: UUID) -> bool:
    """Lift the lock of an account, and tell whether there was one."""
    lifted = (
        update(Account)
        .where(Account.id == account_id, Account.locked_at.is_not(None), Account.erased_at.is_(None))
        .values(locked_at=None)
    )
    if not await changed(work.session, lifted):
        return False
    work.publish(AccountUnlocked(account_id=account_id))
    return True


async def by_handle(work: UnitOfWork, handle: str) -> Account | None:
    """Return the account that bears `handle`, if there is one."""
    account: Account | None = await work.session.scalar(select(Account).where(Account.handle == handle))
    return account


async def available(work: UnitOfWork, handle: str) -> None:
    """Refuse a handle that cannot be had, before a person goes to any trouble for it; it may still be lost after."""
    handle = handles.checked(handle)
    taken = await work.session.scalar(select(Account.id).where(Account.skeleton == handles.skeleton(handle)))
    if taken is not None or await handles.retired(work, handle):
        raise HandleTaken(field="handle")


async def by_name(work: UnitOfWork, typed: str) -> Account | None:
    """Return the account that a person means who types a handle or a verified e-mail address."""
    name = typed.strip().lower().removeprefix("@")
    if "\0" in name or len(name) > addresses.LONGEST:
        return None
    if "@" not in name:
        return await by_handle(work, name)
    account: Account | None = await work.session.scalar(
        select(Account).where(Account.email == name, Account.email_verified_at.is_not(None))
    )
    return account
