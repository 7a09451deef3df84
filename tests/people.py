"""People for tests: accounts without the price of argon2id, and browsers that are signed in already."""

from functools import cache

import httpx
from argon2 import PasswordHasher

from coop.identity import accounts, sessions
from coop.identity.accounts import Account
from coop.unit_of_work import UnitOfWork, Units

PASSWORD = "violet tram under seven bridges"


@cache
def cheap_digest(password: str) -> str:
    """Return an argon2id digest that takes no time; verifying reads its parameters."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)


async def register(
    units: Units,
    handle: str = "ada",
    *,
    email: str | None = None,
    verified: bool = True,
    password: str = PASSWORD,
) -> Account:
    """Register an account in a unit of its own; an `email` counts as verified unless said otherwise."""
    async with units.open() as work:
        account = await accounts.register(
            work, handle=handle, email=email, password_digest=cheap_digest(password)
        )
        if email and verified:
            account.email_verified_at = work.wall
    return account


async def signed_in(
    client: httpx.AsyncClient, units: Units, account: Account, *, amr: tuple[str, ...] = ("pwd",)
) -> httpx.AsyncClient:
    """Sign `client` in as `account`, by beginning a session directly."""
    async with units.open() as work:
        _, secret = await sessions.begin(work, account, amr=amr, user_agent="a test")
    name = "__Host-session" if units.settings.secure else "session"
    client.cookies.clear()
    client.cookies.set(name, secret)
    return client


async def signed_in_client(
    client: httpx.AsyncClient, units: Units, handle: str = "ada", *, email: str | None = None
) -> Account:
    """Register `handle`, sign `client` in as them, and return the account."""
    account = await register(units, handle, email=email)
    await signed_in(client, units, account)
    return account


async def found(work: UnitOfWork, handle: str) -> Account:
    """Return who bears a handle."""
    account = await accounts.by_handle(work, handle)
    assert account is not None
    return account
