"""The transactional outbox: what must leave the process, written with the fact that it reports.

A row is part of the unit of work that caused it, so nothing is announced that did not happen and nothing that
happened goes unannounced. `coop.worker` claims rows by lease and token and marks them done.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import Boolean, ColumnElement, LargeBinary, String, and_, literal
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from coop import bulk
from coop.database import Base, Row


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """A fact that other rooms may act upon once it is committed; subclasses name it in the past tense."""


class OutboxMessage(Base):
    """One thing to be carried out after commit: an event for other rooms, or a letter."""

    __tablename__ = "outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=uuid4)
    kind: Mapped[str] = mapped_column(String(80))
    payload: Mapped[bytes] = mapped_column(LargeBinary, repr=False)
    due_at: Mapped[datetime] = mapped_column(index=True)
    dedupe_key: Mapped[str | None] = mapped_column(String(200), unique=True, default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    lease: Mapped[UUID | None] = mapped_column(default=None)
    leased_until: Mapped[datetime | None] = mapped_column(default=None)
    done_at: Mapped[datetime | None] = mapped_column(default=None)
    failure: Mapped[str | None] = mapped_column(String(200), default=None)


def message(fact: msgspec.Struct, *, due_at: datetime, dedupe_key: str | None = None) -> OutboxMessage:
    """Return what carries `fact`; its kind is the name of the class."""
    return OutboxMessage(**row(fact, due_at=due_at, dedupe_key=dedupe_key))


def row(fact: msgspec.Struct, *, due_at: datetime, dedupe_key: str | None = None) -> Row:
    """Return the columns of the message that carries `fact`."""
    return {
        "id": uuid4(),
        "kind": type(fact).__name__,
        "payload": msgspec.json.encode(fact),
        "due_at": due_at,
        "dedupe_key": dedupe_key,
        "attempts": 0,
        "lease": None,
        "leased_until": None,
        "done_at": None,
        "failure": None,
    }


async def add(
    session: AsyncSession, facts: Iterable[tuple[msgspec.Struct, str | None]], *, due_at: datetime
) -> None:
    """Write the rows that carry many facts, each with its dedupe key if it has one, in one statement."""
    encode = msgspec.json.Encoder().encode
    await bulk.insert(
        session,
        OutboxMessage,
        ("id", "kind", "payload", "due_at", "dedupe_key", "attempts"),
        [(uuid4(), type(fact).__name__, encode(fact), due_at, key, 0) for fact, key in facts],
    )


def read(row: OutboxMessage) -> Event:
    """Return the event that `row` carries."""
    kinds = {kind.__name__: kind for kind in Event.__subclasses__()}
    return msgspec.json.decode(row.payload, type=kinds[row.kind])


class _contains(FunctionElement[bool]):  # noqa: N801 - a function of SQL
    """Whether bytes stand within other bytes; each engine has its own words for it."""

    inherit_cache = True
    type = Boolean()


@compiles(_contains)
def _in_sqlite(element: _contains, compiler: SQLCompiler, **options: object) -> str:
    whole, part = (compiler.process(one, **options) for one in element.clauses)
    return f"instr({whole}, {part}) > 0"


@compiles(_contains, "postgresql")
def _in_postgresql(element: _contains, compiler: SQLCompiler, **options: object) -> str:
    whole, part = (compiler.process(one, **options) for one in element.clauses)
    return f"position({part} in {whole}) > 0"


def addressed_to(address: str) -> ColumnElement[bool]:
    """Return the condition that a row carries a letter to `address`."""
    said = b'"to":' + msgspec.json.encode(address) + b","
    return and_(OutboxMessage.kind == "Letter", _contains(OutboxMessage.payload, literal(said, LargeBinary)))


def speaks_of(account_id: UUID) -> ColumnElement[bool]:
    """Return the condition that a row carries an event about an account."""
    return _contains(OutboxMessage.payload, literal(str(account_id).encode(), LargeBinary))


class Scheduled(Base):
    """When a recurring job is due next; whoever moves `due_at` forward runs it."""

    __tablename__ = "schedule"

    job: Mapped[str] = mapped_column(String(60), primary_key=True)
    due_at: Mapped[datetime]
