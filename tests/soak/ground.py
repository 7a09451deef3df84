"""The ground on which lives are played: a database for each, copied from a cooperative that was founded a moment ago."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import asyncpg

from tests.soak.world import PEOPLE, founded

Ground = Callable[[], tuple[str, Callable[[], None]]]
"""Makes a database; returns where it is, and what throws it away."""


async def on_sqlite(template: Path, folder: Path, on: datetime, people: Sequence[str] = PEOPLE) -> Ground:
    """Copy files."""
    source = folder / "founded.sqlite"
    shutil.copy(template, source)
    await founded(f"sqlite+aiosqlite:///{source}", on, people)

    def make() -> tuple[str, Callable[[], None]]:
        path = folder / f"{uuid4().hex}.sqlite"
        shutil.copy(source, path)

        def discard() -> None:
            for one in folder.glob(f"{path.name}*"):
                one.unlink()

        return f"sqlite+aiosqlite:///{path}", discard

    return make


async def on_postgresql(template: str, on: datetime) -> Ground:
    """Copy databases within one server."""
    server, _, name = template.rpartition("/")

    async def execute(command: str) -> None:
        connection = await asyncpg.connect(f"{server.replace('+asyncpg', '')}/postgres")
        await connection.execute(command)
        await connection.close()

    def run(command: str) -> None:
        asyncio.run(execute(command))

    source = f"founded_{uuid4().hex}"
    await execute(f"CREATE DATABASE {source} TEMPLATE {name} STRATEGY FILE_COPY")
    await founded(f"{server}/{source}", on)

    def make() -> tuple[str, Callable[[], None]]:
        copy = f"life_{uuid4().hex}"
        run(f"CREATE DATABASE {copy} TEMPLATE {source} STRATEGY FILE_COPY")
        return f"{server}/{copy}", lambda: run(f"DROP DATABASE {copy} WITH (FORCE)")

    return make
