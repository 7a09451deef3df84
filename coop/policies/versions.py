"""Versions of law: each in force from an instant of business time, by a named act, chained by hash to the one before."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.clock import local_date
from coop.database import Base
from coop.errors import NotFound, Refused, Sentence, Unavailable
from coop.outbox import Event
from coop.policies.documents import (
    KINDS,
    BadPolicy,
    Document,
    Dues,
    Policy,
    Shares,
    canonical,
    check,
    read,
)
from coop.unit_of_work import UnitOfWork, new_id

_ACT = re.compile(r"founding|(motion|emergency):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

D = TypeVar("D", bound=Policy)


class PolicyAdopted(Event, frozen=True, kw_only=True):
    """A kind of law got a new version in the place of an older one."""

    kind: str
    number: int


class PolicyConflict(Refused):
    """This law has changed since the version that you started from; look at the new one first."""

    code = "policy_conflict"


class NotFounded(Unavailable):
    """This cooperative has no law yet; `coop init` founds it."""

    code = "not_founded"


class NoSuchPolicy(NotFound):
    """There is no law of that kind or number."""

    code = "no_such_policy"


class PolicyVersion(Base):
    """One version of one kind of law; rows are never changed or deleted (triggers)."""

    __tablename__ = "policy_versions"
    __table_args__ = (
        UniqueConstraint("kind", "number"),
        # Two adoptions of one predecessor cannot both stand, whatever the isolation level.
        UniqueConstraint("kind", "replaces"),
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint("(number = 1) = (replaces IS NULL)", name="chain"),
        CheckConstraint("act = 'founding' OR act LIKE 'motion:%' OR act LIKE 'emergency:%'", name="act"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    kind: Mapped[str] = mapped_column(String(20))
    number: Mapped[int]
    document: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    replaces: Mapped[str | None] = mapped_column(String(64), ForeignKey("policy_versions.hash"))
    act: Mapped[str] = mapped_column(String(50))
    adopted_at: Mapped[datetime]
    effective_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class Version(Generic[D]):
    """A version as others see it: the typed document, and where it came from."""

    id: UUID
    kind: str
    number: int
    document: D
    hash: str
    replaces: str | None
    act: str
    adopted_at: datetime
    effective_at: datetime


def hash_of(document: Policy, *, number: int, replaces: str | None) -> str:
    """Return the SHA-256 that names a version; it covers the predecessor's, so that history cannot be rewritten."""
    return hashlib.sha256(spelled(document, number=number, replaces=replaces)).hexdigest()


def spelled(document: Policy, *, number: int, replaces: str | None) -> bytes:
    """Return the very bytes that `hash_of` hashes."""
    return canonical({"document": document, "number": number, "replaces": replaces})


async def in_force(work: UnitOfWork, kind: type[D]) -> Version[D]:
    """Return the version of `kind` that is law now; one query."""
    return await at(work, kind, work.now)


async def at(work: UnitOfWork, kind: type[D], instant: datetime) -> Version[D]:
    """Return the version of `kind` that was or will be law at `instant`."""
    row = await work.session.scalar(
        select(PolicyVersion)
        .where(PolicyVersion.kind == kind.kind(), PolicyVersion.effective_at <= instant)
        .order_by(PolicyVersion.number.desc())
        .limit(1)
    )
    if row is None:
        raise NotFounded
    return _version(row, kind)


async def latest(work: UnitOfWork, kind: type[D]) -> Version[D]:
    """Return the newest version of `kind`, also when it is not yet in force: what a new act must replace."""
    row = await work.session.scalar(
        select(PolicyVersion)
        .where(PolicyVersion.kind == kind.kind())
        .order_by(PolicyVersion.number.desc())
        .limit(1)
    )
    if row is None:
        raise NotFounded
    return _version(row, kind)


async def get(work: UnitOfWork, version_id: UUID) -> Version[Document]:
    """Return one version by its id."""
    row = await work.session.get(PolicyVersion, version_id)
    if row is None:
        raise NoSuchPolicy
    return _any(row)


async def history(work: UnitOfWork, kind: type[D]) -> list[Version[D]]:
    """Return all versions of `kind`, the oldest first."""
    rows = await work.session.scalars(
        select(PolicyVersion).where(PolicyVersion.kind == kind.kind()).order_by(PolicyVersion.number)
    )
    return [_version(row, kind) for row in rows]


async def law(work: UnitOfWork) -> dict[str, Version[Document]]:
    """Return everything that is law now, by kind, in the order of the law book; one query."""
    rows = await work.session.scalars(
        select(PolicyVersion).where(PolicyVersion.effective_at <= work.now).order_by(PolicyVersion.number)
    )
    newest = {row.kind: row for row in rows}
    return {kind: _any(newest[kind]) for kind in KINDS if kind in newest}


async def coming(work: UnitOfWork) -> list[Version[Document]]:
    """Return what was decided and is not law yet, the soonest first."""
    rows = await work.session.scalars(
        select(PolicyVersion)
        .where(PolicyVersion.effective_at > work.now)
        .order_by(PolicyVersion.effective_at, PolicyVersion.number)
    )
    return [_any(row) for row in rows]


async def adopt(
    work: UnitOfWork, document: D, *, act: str, effective_at: datetime, replaces: str | None
) -> Version[D]:
    """Make `document` law from `effective_at` by `act`, in the place of the latest version, whose hash is `replaces`."""
    if not _ACT.fullmatch(act):
        raise BadPolicy("An act is `founding`, `motion:<id>` or `emergency:<id>`.", field="act")
    check(document)
    previous = await work.session.scalar(
        select(PolicyVersion)
        .where(PolicyVersion.kind == document.kind())
        .order_by(PolicyVersion.number.desc())
        .limit(1)
    )
    if replaces != (previous.hash if previous else None):
        raise PolicyConflict
    if previous and effective_at < previous.effective_at:
        raise PolicyConflict("A version cannot take effect before the one that it replaces.")
    await check_together(work, document)
    number = previous.number + 1 if previous else 1
    row = PolicyVersion(
        kind=document.kind(),
        number=number,
        document=canonical(document).decode(),
        hash=hash_of(document, number=number, replaces=replaces),
        replaces=replaces,
        act=act,
        adopted_at=work.now,
        effective_at=effective_at,
    )
    try:
        async with work.session.begin_nested():
            work.session.add(row)
    except IntegrityError as error:
        raise PolicyConflict from error
    if previous:
        work.publish(PolicyAdopted(kind=row.kind, number=number))
    return _version(row, type(document))


async def check_together(work: UnitOfWork, document: Policy) -> None:
    """Refuse dues or shares under which operations could not pay the card fees on the price, also by instalments."""
    shares: Shares | None
    dues: Dues | None
    if isinstance(document, Shares):
        shares, dues = document, await _latest_or_none(work, Dues)
    elif isinstance(document, Dues):
        shares, dues = await _latest_or_none(work, Shares), document
    else:
        return
    vat_rate = work.settings.vat_rate(local_date(work.now, work.settings.zone))
    if shares is not None and dues is not None and not shares.covers_fees(dues, vat_rate=vat_rate):
        dearer = dues.instalments and shares.fees(dues) > shares.fee(dues.price)
        raise BadPolicy(
            Sentence(
                "Operations' part of the price must cover the card fees on it, %(fees)s in minor units.",
                fees=shares.fees(dues),
            ),
            field="operations" if shares is document else "instalments" if dearer else "price",
        )


async def _latest_or_none(work: UnitOfWork, kind: type[D]) -> D | None:
    try:
        return (await latest(work, kind)).document
    except NotFounded:
        return None


def _version(row: PolicyVersion, kind: type[D]) -> Version[D]:
    document = read(row.document)
    if not isinstance(document, kind):
        msg = f"policy version {row.id} is a {row.kind}, not a {kind.kind()}"
        raise TypeError(msg)
    return Version(
        id=row.id,
        kind=row.kind,
        number=row.number,
        document=document,
        hash=row.hash,
        replaces=row.replaces,
        act=row.act,
        adopted_at=row.adopted_at,
        effective_at=row.effective_at,
    )


def _any(row: PolicyVersion) -> Version[Document]:
    return Version(
        id=row.id,
        kind=row.kind,
        number=row.number,
        document=read(row.document),
        hash=row.hash,
        replaces=row.replaces,
        act=row.act,
        adopted_at=row.adopted_at,
        effective_at=row.effective_at,
    )
