"""Prepared statements for the few hot paths: written in SQLAlchemy, compiled once, run on the driver's own connection.

A session costs several times what the driver asks for, which tells on the four or five statements that networks send all day
long. Everything else goes through a session, for clarity.
"""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, cast

import anyio
import asyncpg
from sqlalchemy import Executable
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import greenlet_spawn

from coop.settings import Settings

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A driver's connection for the length of a request, with the two times and the settings.

    On PostgreSQL each statement is a transaction of its own. A writing line on SQLite is one transaction from end to end, since
    its statements cannot feed one another.
    """

    driver: Any
    dialect: Dialect
    settings: Settings
    now: datetime
    wall: datetime

    @property
    def is_sqlite(self) -> bool:
        """Whether several statements have to do what PostgreSQL does in one."""
        return self.dialect.name == "sqlite"


class _Compiled(NamedTuple):
    sql: str
    order: tuple[tuple[str, Convert | None, object], ...]
    """The parameters in the order in which the driver takes them: each with what makes it the driver's, or its constant."""
    readers: tuple[tuple[int, Convert], ...]
    """The columns of an answer that are not yet what the model says they are."""


@dataclass(slots=True)
class Prepared:
    """One statement; its parameters are the names of its `bindparam`s, its answer the columns in their order."""

    statement: Executable
    _compiled: dict[str, _Compiled] = field(default_factory=dict)

    async def rows(self, line: Line, **values: object) -> list[tuple[Any, ...]]:
        """Run the statement and return what it selects, or returns of what it wrote."""
        made = self._compiled.get(line.dialect.name)
        if made is None:
            made = self._compiled[line.dialect.name] = _compile(self.statement, line.dialect)
        given = [
            constant if constant is not None else values[name] if convert is None else convert(values[name])
            for name, convert, constant in made.order
        ]
        try:
            if line.is_sqlite:
                found: Sequence[Sequence[Any]] = await line.driver.execute_fetchall(made.sql, given)
            else:
                found = await line.driver.fetch(made.sql, *given)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.Error, OSError) as error:
            # The edge knows SQLAlchemy's faults; the values stay where they are.
            raise DBAPIError(made.sql, None, error, hide_parameters=True) from error
        if not made.readers:
            return [tuple(row) for row in found]
        read = []
        for row in found:
            columns = list(row)
            for index, convert in made.readers:
                columns[index] = convert(columns[index])
            read.append(tuple(columns))
        return read


def _compile(statement: Executable, dialect: Dialect) -> _Compiled:
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect))  # type: ignore[attr-defined]  # every executable is a clause
    order = []
    for name in compiled.positiontup or ():
        convert = _implementation(compiled.binds[name].type, dialect).bind_processor(dialect)
        constant = compiled.params[name]
        if constant is not None and convert is not None:
            constant = convert(constant)
        order.append((name, convert, constant))
    columns: Any = getattr(statement, "exported_columns", ())
    readers = [
        (index, reader)
        for index, column in enumerate(columns)
        if (reader := _implementation(column.type, dialect).result_processor(dialect, None)) is not None
    ]
    return _Compiled(str(compiled), tuple(order), tuple(readers))


def _implementation(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)


@contextlib.asynccontextmanager
async def borrowed(engine: AsyncEngine) -> AsyncIterator[tuple[Any, Dialect]]:
    """Borrow a driver's connection from the pool of `engine`; a broken one does not go back."""
    sqlite = engine.dialect.name == "sqlite"
    fairy = await _checked_out(engine)
    driver: Any = fairy.driver_connection
    while not sqlite and driver.is_closed():
        # The server was restarted in the meantime: of the old connections none will do.
        fairy.invalidate()
        fairy = await _checked_out(engine)
        driver = fairy.driver_connection
    try:
        yield driver, engine.dialect
    except DBAPIError:
        if not sqlite:
            fairy.invalidate()
        raise
    finally:
        # Giving back rolls back, for which SQLite's driver has to be awaited; PostgreSQL's has nothing to roll back.
        if sqlite:
            with anyio.CancelScope(shield=True):
                await greenlet_spawn(fairy.close)
        else:
            fairy.close()


async def _checked_out(engine: AsyncEngine) -> PoolProxiedConnection:
    pool = engine.sync_engine.pool
    if isinstance(pool, AsyncAdaptedQueuePool) and pool.checkedin():
        # One that lies ready needs no greenlet, unless the pool finds it too old and would open another.
        with contextlib.suppress(MissingGreenlet):
            return pool.connect()
    return await engine.raw_connection()


@contextlib.asynccontextmanager
async def one_transaction(driver: Any) -> AsyncIterator[None]:  # noqa: ANN401 - SQLite's asynchronous driver
    """Make one transaction of all that SQLite is told within."""
    await driver.execute_fetchall("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with anyio.CancelScope(shield=True):
            await driver.rollback()
        raise
    # A client that hangs up must not leave the commit half said.
    with anyio.CancelScope(shield=True):
        await driver.commit()
