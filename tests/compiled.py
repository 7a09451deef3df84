"""Statements compiled once a process, not once a test: every test has a database, and thus engines, of its own.

A third of what a short test costs would be SQLAlchemy putting into words what the test before it has said, too. The
service itself has its engines for life, and needs none of this.
"""

from typing import Any

from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from coop import database


def once_a_process() -> None:
    """Give every engine that is made from now on the same memory of compiled statements."""
    remembered: dict[type[Dialect], Any] = {}

    def make(*arguments: Any, **options: Any) -> AsyncEngine:  # noqa: ANN401 - whatever SQLAlchemy takes
        engine = create_async_engine(*arguments, **options)
        kind = type(engine.dialect)
        # Where SQLAlchemy itself keeps them; there is no public way to let engines share them.
        engine.sync_engine._compiled_cache = remembered.setdefault(kind, engine.sync_engine._compiled_cache)
        return engine

    # The dialect is a part of the key: those of one kind, of which all ours have the same options, compile alike.
    for kind in (PGDialect_asyncpg, SQLiteDialect_aiosqlite):
        kind.__eq__ = lambda one, other: type(one) is type(other)  # type: ignore[method-assign,assignment]
        kind.__hash__ = lambda one: hash(type(one))  # type: ignore[method-assign,assignment]
    database.create_async_engine = make  # type: ignore[assignment]
