"""Many rows in one statement, for the runs over all members: a batch costs as many statements as one member.

PostgreSQL is handed whole columns as arrays, which one statement takes apart; SQLite runs one prepared statement over the
rows within the driver. Values go through the column types of the model, as everywhere.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, TypeVarTuple

import msgspec
from sqlalchemy import ARRAY, ColumnElement, CursorResult, Date, DateTime, Table, any_, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.selectable import TypedReturnsRows

from coop.database import Base, table_of

Row = Sequence[object]
Convert = Callable[[Any], Any]

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
_SQLITE = sqlite.dialect()


Columns = TypeVarTuple("Columns")


async def read(session: AsyncSession, statement: TypedReturnsRows[*Columns]) -> CursorResult[*Columns]:
    """Read columns of many rows, without what a session does for each row in case it were an object."""
    await session.flush()
    return await (await session.connection()).execute(statement)


def among(
    session: AsyncSession, column: InstrumentedAttribute[Any], values: Collection[object]
) -> ColumnElement[bool]:
    """Return the condition that a column is one of many values, handed over in one parameter instead of one each."""
    if not _is_sqlite(session):
        return column == any_(literal(list(values), ARRAY(column.type)))
    (convert,) = _converters(column.class_.__table__, (column.key,), _SQLITE)
    plain = list(values) if convert is None else [convert(value) for value in values]
    given = func.json_each(msgspec.json.encode(plain).decode()).table_valued("value")
    return column.in_(select(given.c.value))


async def insert(
    session: AsyncSession,
    model: type[Base],
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    on_conflict: str = "",
) -> int:
    """Insert rows whose values stand in the order of `columns`, and return how many went in."""
    if not rows:
        return 0
    table = table_of(model)
    names = ", ".join(columns)
    if _is_sqlite(session):
        marks = ", ".join("?" for _ in columns)
        said = f"INSERT INTO {table.name} ({names}) VALUES ({marks}) {on_conflict}"
        return await _run(session, said, _rows(table, columns, rows))
    arrays = ", ".join(_arrays(table, columns))
    said = f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) {on_conflict}"
    return await _run(session, said, _columns(table, columns, rows))


async def update(
    session: AsyncSession,
    model: type[Base],
    key: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    where: Mapping[str, object],
) -> int:
    """Set `columns` in the rows named by `key` that are as `where` says, and return how many were.

    Each row holds its key's value first, then the new ones.
    """
    if not rows:
        return 0
    table = table_of(model)
    if _is_sqlite(session):
        changes = ", ".join(f"{name} = ?" for name in columns)
        guards = "".join(f" AND {name} = ?" for name in where)
        said = f"UPDATE {table.name} SET {changes} WHERE {key} = ?{guards}"
        turned = [(*row[1:], row[0], *where.values()) for row in rows]
        return await _run(session, said, _rows(table, (*columns, key, *where), turned))
    arrays = ", ".join(_arrays(table, (key, *columns)))
    changes = ", ".join(f"{name} = given.{name}" for name in columns)
    count = 1 + len(columns)
    guards = "".join(f" AND old.{name} = ${count + n}" for n, name in enumerate(where, 1))
    said = (
        f"UPDATE {table.name} AS old SET {changes} "
        f"FROM unnest({arrays}) AS given ({key}, {', '.join(columns)}) WHERE old.{key} = given.{key}{guards}"
    )
    wanted = [
        value if convert is None else convert(value)
        for value, convert in zip(where.values(), _converters(table, tuple(where), _POSTGRESQL), strict=True)
    ]
    return await _run(session, said, (*_columns(table, (key, *columns), rows), *wanted))


async def _run(session: AsyncSession, said: str, values: Any) -> int:  # noqa: ANN401 - as a driver takes them
    # What the session still holds back comes first, as before any statement of its own.
    await session.flush()
    connection = await session.connection()
    return (await connection.exec_driver_sql(said, values)).rowcount


def _is_sqlite(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "sqlite"


@cache
def _arrays(table: Table, columns: Sequence[str]) -> list[str]:
    """Return the parameters of whole columns; a length in a type would cut what is too long instead of refusing it."""
    kinds = (table.c[name].type.compile(dialect=_POSTGRESQL).partition("(")[0] for name in columns)
    return [f"${n}::{kind}[]" for n, kind in enumerate(kinds, 1)]


@cache
def _converters(table: Table, columns: Sequence[str], dialect: Dialect) -> list[Convert | None]:
    return [_implementation(table, name, dialect).bind_processor(dialect) for name in columns]


def _implementation(table: Table, name: str, dialect: Dialect) -> Any:  # noqa: ANN401 - a type engine of any kind
    return table.c[name].type.dialect_impl(dialect)


def _rows(table: Table, columns: Sequence[str], rows: Sequence[Row]) -> list[tuple[object, ...]]:
    return list(zip(*_converted(table, tuple(columns), rows, _SQLITE), strict=True))


def _columns(table: Table, columns: Sequence[str], rows: Sequence[Row]) -> tuple[list[object], ...]:
    return tuple(_converted(table, tuple(columns), rows, _POSTGRESQL))


def _converted(
    table: Table, columns: tuple[str, ...], rows: Sequence[Row], dialect: Dialect
) -> list[list[object]]:
    found = []
    converters = _converters(table, columns, dialect)
    for name, convert, values in zip(columns, converters, zip(*rows, strict=True), strict=True):
        if convert is None:
            found.append(list(values))
        elif _is_time(table, name):
            # A batch knows few days and instants, and to spell one takes longer than to look it up.
            spelled = {value: convert(value) for value in set(values)}
            found.append([spelled[value] for value in values])
        else:
            found.append([convert(value) for value in values])
    return found


def _is_time(table: Table, name: str) -> bool:
    kind = table.c[name].type
    return isinstance(getattr(kind, "impl", kind), (Date, DateTime))
