"""Throttling: how often something may be tried, per account and per address, counted in the database.

Each count is one atomic upsert, a unit of its own that is committed before the answer is known, so that a refusal
cannot undo it and a hundred simultaneous guesses are a hundred counts. A window has a fixed end: whoever keeps
knocking does not keep the owner out. Nothing here touches sessions that exist, passkeys, or a browser that has signed
in before, which has counters of its own (OWASP, device cookies).
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import LargeBinary, bindparam, case, delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base, table_of
from coop.errors import TooMany
from coop.prepared import Line, Prepared
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units


class Attempts(Base):
    """How often something was tried in the present window; what and by whom is behind a keyed hash."""

    __tablename__ = "attempts"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)
    count: Mapped[int]
    window_ends: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class Limit:
    """`times` within `window`, for each subject."""

    scope: str
    times: int
    window: timedelta

    def by(self, *subject: str) -> "Budget":
        """Return this limit as it applies to `subject`."""
        return Budget(self, "\0".join(subject))


@dataclass(frozen=True, slots=True)
class Budget:
    """The attempts that one subject has under one limit."""

    limit: Limit
    subject: str


SIGN_IN_HERE = Limit("sign-in from here", 10, timedelta(minutes=15))
"""Wrong passwords for one account from one address, or from one browser that knows the account."""
SIGN_IN_ANYWHERE = Limit("sign-in from anywhere", 100, timedelta(hours=1))
"""Wrong passwords for one account from all addresses together, browsers that know it left out."""
SIGN_IN_ADDRESS = Limit("sign-in", 200, timedelta(minutes=15))
"""Wrong passwords for any account from one address."""
SIGN_UP = Limit("sign-up", 600, timedelta(hours=1))
"""Accounts from one address; a whole school may sit behind one."""
LETTERS = Limit("letters", 5, timedelta(hours=1))
"""Letters that strangers may cause to be sent to one address."""
RECOVERY = Limit("recovery", 30, timedelta(hours=1))
"""Questions for a way back in from one address."""
RECOVERY_CODES = Limit("recovery codes", 10, timedelta(hours=1))
"""Wrong recovery codes for one account."""
CEREMONIES = Limit("ceremonies", 300, timedelta(minutes=15))
"""Passkey challenges from one address."""

PAYMENT_PAGES = Limit("payment pages", 20, timedelta(hours=1))
"""Payment pages that one person opens: whoever tries stolen cards needs many."""
EXPORTS = Limit("exports", 10, timedelta(hours=1))
"""Archives that one person takes away; each reads every table."""


class TooManyAttempts(TooMany):
    """Too many attempts. Wait a little, or use a passkey, a browser that is signed in, or a link by mail."""

    code = "too_many_attempts"


async def admit(units: Units, *budgets: Budget, refusal: type[TooMany] = TooManyAttempts) -> None:
    """Count one attempt against each budget and commit that; then refuse if one of them is spent."""
    # A statement of its own is a unit of its own, at a fifth of the price.
    async with units.line() as reading, units.writing(reading) as line:
        counted = await _counting(len(budgets), line.dialect.name).rows(line, **_attempt(line, budgets))
    wait = _wait(counted, line, budgets)
    if wait:
        raise refusal(retry_after=wait)


async def count(work: UnitOfWork, budget: Budget) -> int:
    """Count one attempt; return how many seconds to wait if that was one too many, else nothing."""
    statement = _counting(1, work.session.get_bind().dialect.name).statement
    counted = await work.session.execute(statement, _attempt(work, [budget]))
    return _wait(counted.all(), work, [budget])


@cache
def _counting(many: int, dialect: str) -> Prepared:
    """Return the statement that counts one attempt against each of so many budgets."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    wall = bindparam("wall", type_=Attempts.window_ends.type)
    statement = insert(table_of(Attempts)).values(
        [
            {
                "digest": bindparam(f"digest_{n}", type_=Attempts.digest.type),
                "count": 1,
                "window_ends": bindparam(f"ends_{n}", type_=Attempts.window_ends.type),
            }
            for n in range(many)
        ]
    )
    over = Attempts.window_ends <= wall
    return Prepared(
        statement.on_conflict_do_update(
            index_elements=[Attempts.digest],
            set_={
                "count": case((over, 1), else_=Attempts.count + 1),
                "window_ends": case((over, statement.excluded.window_ends), else_=Attempts.window_ends),
            },
        ).returning(Attempts.digest, Attempts.count, Attempts.window_ends)
    )


def _attempt(moment: Line | UnitOfWork, budgets: Sequence[Budget]) -> dict[str, object]:
    # One order for everybody, so that two attempts never wait for each other's rows.
    windows = sorted((_digest(moment.settings, budget), budget.limit.window) for budget in budgets)
    values: dict[str, object] = {"wall": moment.wall}
    for n, (digest, window) in enumerate(windows):
        values |= {f"digest_{n}": digest, f"ends_{n}": moment.wall + window}
    return values


def _wait(counted: Sequence[Sequence[Any]], moment: Line | UnitOfWork, budgets: Sequence[Budget]) -> int:
    """Return how many seconds to wait for the last budget that is spent, or nothing."""
    allowed = {_digest(moment.settings, budget): budget.limit.times for budget in budgets}
    spent = [ends - moment.wall for digest, times, ends in counted if times > allowed[digest]]
    return max(1, int(max(spent).total_seconds())) if spent else 0


async def forgive(work: UnitOfWork, *budgets: Budget) -> None:
    """Forget all attempts against `budgets`: those of a person who then got it right."""
    digests = [_digest(work.settings, budget) for budget in budgets]
    await work.session.execute(delete(Attempts).where(Attempts.digest.in_(digests)))


async def give_back(work: UnitOfWork, *budgets: Budget) -> None:
    """Take one attempt from the count of each budget, since it was right; the wrong ones stay counted."""
    digests = [_digest(work.settings, budget) for budget in budgets]
    await work.session.execute(
        update(Attempts)
        .where(Attempts.digest.in_(digests), Attempts.count > 0)
        .values(count=Attempts.count - 1)
    )


def address(host: str | None) -> str:
    """Return whom an IP address stands for: itself, or the /64 that an IPv6 subscriber has to themselves."""
    try:
        found = ipaddress.ip_address(host or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _digest(settings: Settings, budget: Budget) -> bytes:
    # Keyed: neither who was tried nor from where can be read, or guessed, from a dump.
    return hmac.digest(
        settings.secret_key.encode(), f"{budget.limit.scope}\0{budget.subject}".encode(), hashlib.sha256
    )
