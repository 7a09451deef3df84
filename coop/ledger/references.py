"""Who an entry concerns, as a random reference that can be erased: the books stay, the person is gone."""

import hmac
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, String, Uuid, column, delete, exists, literal, select, table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from coop import bulk
from coop.database import Base, UTCDateTime
from coop.errors import Invalid
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, new_id


class NoReason(Invalid):
    """Say why you need to know; the person can read it."""

    code = "no_reason"


class PersonReference(Base):
    """The only link between a person and their entries; deleting the row breaks it for ever."""

    __tablename__ = "person_references"

    reference: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(unique=True)


class ReferenceLookup(Base):
    """A steward learnt who an entry concerns, and why; rows are never changed or deleted (triggers)."""

    __tablename__ = "reference_lookups"

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    reference: Mapped[UUID] = mapped_column(index=True)
    by: Mapped[UUID]
    reason: Mapped[str] = mapped_column(String(500))
    at: Mapped[datetime]


# Of accounts, which the books do not know, only whether one is gone.
_ACCOUNTS = table("accounts", column("id", Uuid()), column("erased_at", UTCDateTime()))


def _erased(account_id: UUID) -> Select[UUID]:
    return select(_ACCOUNTS.c.id).where(_ACCOUNTS.c.id == account_id, _ACCOUNTS.c.erased_at.is_not(None))


def nobody(settings: Settings, account_id: UUID) -> UUID:
    """Return under what still happens about somebody who is gone: always the same, so that what comes and goes back meets.

    It is computed and stored nowhere but in entries; without the key nobody gets from one to the account, which has no name.
    """
    key = settings.pairwise_secret.encode()
    return UUID(bytes=hmac.digest(key, b"reference of nobody:" + account_id.bytes, "sha256")[:16], version=4)


async def of(work: UnitOfWork, account_id: UUID) -> UUID:
    """Return the reference of a person, made at the first need."""
    dialect = postgresql if work.session.get_bind().dialect.name == "postgresql" else sqlite
    made = select(literal(new_id()), literal(account_id)).where(~exists(_erased(account_id)))
    await work.session.execute(
        dialect.insert(PersonReference)
        .from_select(["reference", "account_id"], made)
        .on_conflict_do_nothing(index_elements=["account_id"])
    )
    return await find(work, account_id) or nobody(work.settings, account_id)


async def of_all(work: UnitOfWork, account_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the references of many people, made at the first need, in as many statements as for one."""
    found = await _known(work, account_ids)
    new = sorted(set(account_ids) - set(found))
    if new:
        gone = set(
            await work.session.scalars(
                select(_ACCOUNTS.c.id).where(_ACCOUNTS.c.id.in_(new), _ACCOUNTS.c.erased_at.is_not(None))
            )
        )
        found |= {account_id: nobody(work.settings, account_id) for account_id in gone}
        new = [account_id for account_id in new if account_id not in gone]
    if new:
        await bulk.insert(
            work.session,
            PersonReference,
            ("reference", "account_id"),
            [(new_id(), account_id) for account_id in new],
            on_conflict="ON CONFLICT (account_id) DO NOTHING",
        )
        # Another unit may have made one in the meantime.
        found |= await _known(work, new)
    return found


async def find(work: UnitOfWork, account_id: UUID) -> UUID | None:
    """Return the reference of a person if the books know them; it writes nothing."""
    found: UUID | None = await work.session.scalar(
        select(PersonReference.reference).where(PersonReference.account_id == account_id)
    )
    return found


async def resolve(work: UnitOfWork, reference: UUID, *, by: UUID, reason: str) -> UUID | None:
    """Return the account behind `reference` to the treasurer `by`, if it was not erased; the reason is kept."""
    if not reason.strip():
        raise NoReason(field="reason")
    work.session.add(ReferenceLookup(reference=reference, by=by, reason=reason.strip()[:500], at=work.wall))
    found: UUID | None = await work.session.scalar(
        select(PersonReference.account_id).where(PersonReference.reference == reference)
    )
    return found


async def lookups(work: UnitOfWork, account_id: UUID) -> list[ReferenceLookup]:
    """Return who resolved a person's reference, and why, for that person to read."""
    rows = await work.session.scalars(
        select(ReferenceLookup)
        .join(PersonReference, PersonReference.reference == ReferenceLookup.reference)
        .where(PersonReference.account_id == account_id)
        .order_by(ReferenceLookup.at)
    )
    return list(rows)


async def erase(work: UnitOfWork, account_id: UUID) -> None:
    """Forget who the entries of a person concern; the entries stay, and still balance."""
    await work.session.execute(delete(PersonReference).where(PersonReference.account_id == account_id))


async def _known(work: UnitOfWork, account_ids: Collection[UUID]) -> dict[UUID, UUID]:
    rows = await bulk.read(
        work.session,
        select(PersonReference.account_id, PersonReference.reference).where(
            bulk.among(work.session, PersonReference.account_id, account_ids)
        ),
    )
    return {row[0]: row[1] for row in rows}
