"""The mapped base class, column types that hold on both engines, and the engines themselves."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, cast, dataclass_transform
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    CursorResult,
    DateTime,
    Executable,
    Insert,
    MetaData,
    Select,
    String,
    Table,
    TypeDecorator,
    Uuid,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    MappedAsDataclass,
    composite,
    make_transient_to_detached,
    mapped_column,
    relationship,
)
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.pool import AsyncAdaptedQueuePool

from coop.money import Money

BUSY_SECONDS = 10
"""How long a unit of work waits for SQLite's one writer, or for a pooled connection, before it is refused."""

RECYCLE_SECONDS = 1800
"""How old a connection to PostgreSQL may become: firewalls and routers forget those that are silent for long."""


class UTCDateTime(TypeDecorator[datetime]):
    """An aware instant; naive ones are refused, and SQLite, which drops the zone, gets it back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a naive datetime cannot be stored; take work.now or work.wall"
            raise TypeError(msg)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware UTC instant."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class MoneyType(TypeDecorator[Money]):
    """An amount as a 64-bit whole number of minor units."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Money | None, dialect: Dialect) -> int | None:
        """Store minor units."""
        del dialect
        return None if value is None else value.minor

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Money | None:  # noqa: ANN401 - drivers give int or Decimal (sums)
        """Return `Money`; PostgreSQL sums bigints as numeric, hence the conversion."""
        del dialect
        return None if value is None else Money(int(value))


# Said again for type checkers, which do not take `kw_only` from the class arguments below.
@dataclass_transform(kw_only_default=True, field_specifiers=(mapped_column, relationship, composite))
class Base(MappedAsDataclass, DeclarativeBase, kw_only=True, eq=False):
    """What every mapped class derives from; constraints get names, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own hook
        datetime: UTCDateTime(),
        UUID: Uuid(),
        Money: MoneyType(),
        int: BigInteger(),
        str: String(),
    }


Row = dict[str, Any]
"""The columns of one row by name, all of them: what a statement inserts where no object is needed."""


def table_of(model: type[Base]) -> Table:
    """Return the table of a mapped class: statements over it cost less than over the class, which loads no objects then."""
    return cast("Table", model.__table__)


def is_sqlite(url: str) -> bool:
    """Tell whether `url` names an SQLite file."""
    return make_url(url).get_backend_name() == "sqlite"


async def insert_once(session: AsyncSession, model: type[Base], **values: object) -> bool:
    """Insert a row unless a unique key of it is taken, and tell whether it went in; all values are given.

    On PostgreSQL this waits for a concurrent insert of the same key to commit or roll back.
    """
    # What the session still holds back comes first, as before any statement of its own.
    await session.flush()
    statement = _inserting_once(model, session.get_bind().dialect.name)
    return await changed(session, statement, values)


async def add_once(session: AsyncSession, row: Base) -> bool:
    """Insert `row` unless a unique key of it is taken, and tell whether it went in; it is the session's own then.

    That costs a third of a savepoint in which the session adds it, and leaves no failed statement in the server's log.
    """
    values = {name: getattr(row, name) for name in table_of(type(row)).columns.keys()}  # noqa: SIM118 - no mapping
    if not await insert_once(session, type(row), **values):
        return False
    make_transient_to_detached(row)
    # Else whatever was left at its default would be asked of the database.
    for name, value in values.items():
        set_committed_value(row, name, value)
    session.add(row)
    return True


@cache
def _inserting_once(model: type[Base], dialect: str) -> Insert:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(table_of(model)).on_conflict_do_nothing()


async def insert_missing(
    session: AsyncSession, model: type[Base], columns: Sequence[str], found: Select[*tuple[Any, ...]]
) -> None:
    """Insert what a query finds, but rows of which a unique key is taken by then.

    The query needs a condition: SQLite would take `ON CONFLICT` for that of a join.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    await session.execute(insert(table_of(model)).from_select(columns, found).on_conflict_do_nothing())


async def changed(session: AsyncSession, statement: Executable, values: Row | None = None) -> bool:
    """Execute a guarded statement and tell whether any row met its guard."""
    result = await session.execute(statement, values)
    return isinstance(result, CursorResult) and result.rowcount > 0


Role = Literal["writer", "reader", "line"]


def make_engine(url: str, role: Role) -> AsyncEngine:
    """Make an engine for writing units, for reading ones, or for hot paths; on PostgreSQL the last two run in AUTOCOMMIT.

    SQLite gets WAL with `synchronous=FULL` (NORMAL loses acknowledged writes in a power cut), one writer connection
    that begins IMMEDIATE, and readers that cannot write.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, role)
    options: dict[str, Any] = {} if role == "writer" else {"isolation_level": "AUTOCOMMIT"}
    engine = create_async_engine(
        parsed,
        pool_size=8,
        # Those above the size would be opened for one request and closed after it, which costs more than to wait.
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=False,
        pool_recycle=RECYCLE_SECONDS,
        hide_parameters=True,
        json_deserializer=msgspec.json.decode,
        **options,
    )
    if role != "writer":
        event.listen(engine.sync_engine, "connect", _plan_once)
    if role == "line":
        event.listen(engine.sync_engine, "connect", _by_keys)
    return engine


def _plan_once(connection: Any, record: object) -> None:  # noqa: ANN401 - a driver's connection has no common type
    """Keep the plan of a prepared statement: all of ours go by keys, and planning one costs several times its execution."""
    del record
    cursor = connection.cursor()
    cursor.execute("SET plan_cache_mode = force_generic_plan")
    cursor.close()


def _by_keys(connection: Any, record: object) -> None:  # noqa: ANN401 - a driver's connection has no common type
    """Let hot paths read by index alone.

    Their plans are made once, and may be made of a table that holds ten rows, where reading all of them is as cheap; they would
    still be read when there are ten thousand, until the server next looks at what the table holds. What must be read whole
    all the same looks expensive to the server then, which would compile it to machine code first.
    """
    del record
    cursor = connection.cursor()
    cursor.execute("SET enable_seqscan = off")
    cursor.execute("SET jit = off")
    cursor.close()


def _sqlite(url: URL, role: Role) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1 if role == "writer" else 4,
        max_overflow=0,
        hide_parameters=True,
        json_deserializer=msgspec.json.decode,
        pool_timeout=BUSY_SECONDS,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, record: object) -> None:  # noqa: ANN401 - a driver's connection has no common type
        del record
        # The driver must not begin transactions by itself: it would begin DEFERRED, and fail on upgrade.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA trusted_schema=OFF")
        if role == "writer":
            # Random keys fall on pages all over an index; with SQLite's two megabytes, a run over all members reads most
            # of them again for each row.
            cursor.execute("PRAGMA cache_size=-32000")
        if role != "writer":
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own event signature
        connection.exec_driver_sql("BEGIN IMMEDIATE" if role == "writer" else "BEGIN DEFERRED")

    return engine
