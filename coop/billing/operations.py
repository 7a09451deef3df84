"""Idempotency: what moves money is claimed under a key before it is done, and answered once it is.

The key is claimed in the first unit and answered in the last. A process that dies in between leaves a claim whose
lease runs out; a repeat then takes it over and carries the same operation on, rather than a second one.
"""

import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, LargeBinary, String, Text, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base, changed, insert_once
from coop.errors import Invalid, Refused
from coop.unit_of_work import UnitOfWork, Units

LEASE = timedelta(seconds=90)
"""Longer than the gateway takes with its retry, so that a claim is never taken over while it is being worked on."""

KEPT = timedelta(days=90)
"""How long an answer is repeated."""
BATCH = 500

_KEY = re.compile(r"[A-Za-z0-9_.:-]{8,100}", re.ASCII)


class BadKey(Invalid):
    """Send an Idempotency-Key of 8 to 100 letters, digits, dots, colons, hyphens or underscores."""

    code = "bad_idempotency_key"


class KeyReused(Refused):
    """This idempotency key was used for something else. Take a new one; reload the page."""

    code = "idempotency_key_reused"


class InFlight(Refused):
    """The same request is being worked on at this moment. Ask again in a few seconds."""

    code = "in_flight"
    retry_after = 2


class Operation(Base):
    """One claimed key: whose, for what, until when it is worked on, and what was answered."""

    __tablename__ = "operations"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    purpose: Mapped[str] = mapped_column(String(40))
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    claimed_at: Mapped[datetime] = mapped_column(index=True)
    leased_until: Mapped[datetime]
    lease: Mapped[UUID | None] = mapped_column(default=None)
    """Who works on it; none once it is answered or let go."""
    answer: Mapped[str | None] = mapped_column(Text, default=None, repr=False)


def fingerprint(*facts: object) -> bytes:
    """Return a digest of what was asked, so that a repeat under the same key can be told from another wish."""
    return hashlib.sha256(repr(facts).encode()).digest()


async def claim(
    work: UnitOfWork, key: str, *, lease: UUID, account_id: UUID, purpose: str, facts: tuple[object, ...]
) -> str | None:
    """Claim `key` for one wish of one person under the `lease` of `released`; return the answer if there is one.

    Raises `InFlight` while another request works on it, `KeyReused` for another person, purpose or wish.
    """
    if not _KEY.fullmatch(key):
        raise BadKey
    wished = fingerprint(purpose, *facts)
    if await insert_once(
        work.session,
        Operation,
        key=key,
        account_id=account_id,
        purpose=purpose,
        fingerprint=wished,
        claimed_at=work.wall,
        leased_until=work.wall + LEASE,
        lease=lease,
        answer=None,
    ):
        return None
    found = await work.session.scalar(select(Operation).where(Operation.key == key))
    if found is None:
        raise InFlight
    if found.account_id != account_id or found.fingerprint != wished:
        raise KeyReused
    if found.answer is not None:
        return found.answer
    taken_over = await changed(
        work.session,
        update(Operation)
        .where(Operation.key == key, Operation.answer.is_(None), Operation.leased_until <= work.wall)
        .values(lease=lease, leased_until=work.wall + LEASE),
    )
    if not taken_over:
        raise InFlight
    return None


async def answer(work: UnitOfWork, key: str, text: str) -> None:
    """Keep the answer to `key` for every repeat."""
    await work.session.execute(
        update(Operation)
        .where(Operation.key == key, Operation.answer.is_(None))
        .values(answer=text, lease=None)
    )


@contextlib.asynccontextmanager
async def released(units: Units, key: str) -> AsyncIterator[UUID]:
    """Give a lease to claim `key` under, and let go of it when the work fails, so that a repeat need not wait.

    Whoever was refused the key, or has lost it to another, lets go of nothing: the lease it stands under is not theirs.
    """
    lease = uuid4()
    try:
        yield lease
    except Exception:
        async with units.open() as work:
            await work.session.execute(
                update(Operation)
                .where(Operation.key == key, Operation.lease == lease)
                .values(lease=None, leased_until=work.wall)
            )
        raise


async def forget_old(units: Units) -> int:
    """Forget keys that nobody will repeat any more (a job); a wish of long ago under one is a new wish."""
    done = 0
    while True:
        async with units.open() as work:
            old = select(Operation.key).where(Operation.claimed_at < work.wall - KEPT).limit(BATCH)
            struck = await work.session.execute(
                delete(Operation).where(Operation.key.in_(old.scalar_subquery())).returning(Operation.key)
            )
            found = len(struck.all())
        done += found
        if found < BATCH:
            return done
