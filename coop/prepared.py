"""Prepared statements for the few hot paths: written in SQLAlchemy, compiled once, run on the driver's own connection.

A session costs several times what the driver asks for, which tells on the four or five statements that networks send all day
long. Everything else goes through a session, for clarity.
"""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

import anyio
import asyncpg
from sqlalchemy import Executable
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import greenlet_spawn

from coop.database import BUSY_SECONDS, RECYCLE_SECONDS
from coop.settings import Settings

Convert = Callable[[Any], Any]

_TAKEN_OUT = timedelta(seconds=RECYCLE_SECONDS)


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


class Drivers:
    """Connections of one engine that stay taken out of its pool, since to take one out and give it back costs more than to use it.

    Each is lent to one line at a time; the last one given back is the first to be lent again.
    """

    def __init__(self, engine: AsyncEngine):
        """Take as many connections as the pool of `engine` holds; nobody else should use it."""
        self.dialect = engine.dialect
        self._engine = engine
        self._ready: list[tuple[PoolProxiedConnection, datetime]] = []
        pool = cast("AsyncAdaptedQueuePool", engine.sync_engine.pool)
        self._places = anyio.Semaphore(pool.size(), fast_acquire=True)

    @contextlib.asynccontextmanager
    async def lent(self, wall: datetime) -> AsyncIterator[Any]:
        """Lend a driver's connection; one that turned out to be broken is thrown away."""
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            try:
                with anyio.fail_after(BUSY_SECONDS):
                    await self._places.acquire()
            except TimeoutError:
                raise PoolTimeout from None
        try:
            connection, since = await self._next(wall)
            try:
                yield connection.driver_connection
            except DBAPIError:
                connection.invalidate()
                raise
            except BaseException:
                # Whoever was cancelled in the middle of a statement leaves the driver to find out; the pool asks it.
                await self._give_back(connection)
                raise
            self._ready.append((connection, since))
        finally:
            self._places.release()

    async def close(self) -> None:
        """Give everything back, so that the engine can close it."""
        while self._ready:
            await self._give_back(self._ready.pop()[0])

    async def _next(self, wall: datetime) -> tuple[PoolProxiedConnection, datetime]:
        while self._ready:
            connection, since = self._ready.pop()
            # After this time the pool opens another anyway: routers on the way forget connections that are silent for long.
            if wall - since > _TAKEN_OUT:
                await self._give_back(connection)
            elif self._broken(connection):
                # The server was restarted in the meantime.
                connection.invalidate()
            else:
                return connection, since
        connection = await self._engine.raw_connection()
        while self._broken(connection):
            connection.invalidate()
            connection = await self._engine.raw_connection()
        return connection, wall

    def _broken(self, connection: PoolProxiedConnection) -> bool:
        driver: Any = connection.driver_connection
        return self.dialect.name != "sqlite" and bool(driver.is_closed())

    async def _give_back(self, connection: PoolProxiedConnection) -> None:
        with anyio.CancelScope(shield=True):
            await greenlet_spawn(connection.close)


@contextlib.asynccontextmanager
async def borrowed(engine: AsyncEngine) -> AsyncIterator[Any]:
    """Borrow SQLite's one writer, which everybody else waits for in the meantime."""
    connection = await engine.raw_connection()
    try:
        yield connection.driver_connection
    finally:
        with anyio.CancelScope(shield=True):
            await greenlet_spawn(connection.close)


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
