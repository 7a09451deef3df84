"""A database for every test: on SQLite a copy, on PostgreSQL that of the test before it, emptied, with its connections.

To copy a database, to fork a server process for each connection, and to let it read the catalogue and plan every
statement anew costs several times what a test asks of it. So rows are taken back instead, as a copy of the template
would be; a test that changes the schema itself gives its database away, and the next one gets a copy.
"""

import asyncio
import contextlib
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from coop import database, unit_of_work
from coop.database import Role

PREPARE = """
CREATE SCHEMA tests;
CREATE TABLE tests.changes (command text);
CREATE FUNCTION tests.note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tests.changes VALUES (tg_tag);
END $$;
DO $$
DECLARE
    one record;
    filled boolean;
    empty text := '';
    fill text := '';
BEGIN
    FOR one IN SELECT oid::regclass::text AS name, relname FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one.name) INTO filled;
        empty := empty || format('IF EXISTS (SELECT FROM %1$s) THEN DELETE FROM %1$s; '
            'emptied := array_append(emptied, %1$L); END IF;', one.name);
        IF filled THEN
            EXECUTE format('CREATE TABLE tests.%I AS TABLE %s', one.relname, one.name);
            fill := fill || format('INSERT INTO %s SELECT * FROM tests.%I;', one.name, one.relname);
        END IF;
    END LOOP;
    FOR one IN SELECT schemaname, sequencename, start_value, last_value FROM pg_sequences WHERE schemaname = 'public'
    LOOP
        fill := fill || format('PERFORM setval(''%I.%I'', %s, %L);',
            one.schemaname, one.sequencename, coalesce(one.last_value, one.start_value), one.last_value IS NOT NULL);
    END LOOP;
    -- As a replica: neither triggers nor foreign keys are asked.
    EXECUTE format('CREATE FUNCTION tests.empty() RETURNS text[] LANGUAGE plpgsql SET session_replication_role = replica '
        'AS $f$ DECLARE emptied text[]; BEGIN %s RETURN emptied; END $f$', empty);
    EXECUTE format('CREATE FUNCTION tests.fill() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica '
        'AS $f$ BEGIN %s END $f$', fill);
END $$;
CREATE EVENT TRIGGER tests_note ON ddl_command_end EXECUTE FUNCTION tests.note();
CREATE EVENT TRIGGER tests_note_drop ON sql_drop EXECUTE FUNCTION tests.note();
"""
STRAYS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' AND backend_type = 'client backend'
"""


class Ground(Protocol):
    """What the databases of one engine come from."""

    async def fresh(self, folder: Path) -> str:
        """Return the URL of a database with the schema and nothing in it; what it is made of may lie in `folder`."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A template of SQLite, of which each test gets a copy: that takes two milliseconds."""

    template: Path

    async def fresh(self, folder: Path) -> str:
        """Copy the template."""
        path = folder / "coop.sqlite"
        shutil.copy(self.template, path)
        return f"sqlite+aiosqlite:///{path}"


class Kept(AsyncEngine):
    """An engine that goes back on the shelf where others are disposed of."""

    __slots__ = ("shelf",)

    shelf: list["Kept"]

    async def dispose(self, close: bool = True) -> None:  # noqa: FBT001, FBT002 - SQLAlchemy's own signature
        """Keep the connections for whoever comes next."""
        del close
        self.shelf.append(self)

    async def close(self) -> None:
        """Really close the connections."""
        await super().dispose()


class Reused:
    """The database of a test process, and the engines that were made for it."""

    def __init__(self, server: str, template: str):
        """Take the server's URL and the name of the template."""
        self.server = server
        self.template = template
        self.url = ""
        self._admin: asyncpg.Connection | None = None
        self._made = 0
        self._loop = asyncio.get_running_loop()
        self._shelves: defaultdict[Role, list[Kept]] = defaultdict(list)
        self._lent: list[Kept] = []

    async def fresh(self, folder: Path) -> str:
        """Empty the database, but for what a new one holds, and return its URL."""
        del folder
        left_open = [one for one in self._lent if one not in one.shelf]
        for engine in left_open:
            await engine.close()
        self._lent = []
        if self._admin is None or await self._admin.fetchval("SELECT count(*) FROM tests.changes"):
            await self._copy()
        elif await self._admin.fetchval(STRAYS):
            await self._forget()
        assert self._admin is not None
        emptied = await self._admin.fetchval("SELECT tests.empty()")
        if emptied:
            # Rows then lie in the order in which they are written, as in a new table.
            await self._admin.execute(f"VACUUM (INDEX_CLEANUP ON) {', '.join(emptied)}")
        await self._admin.execute("SELECT tests.fill()")
        return self.url

    def engine(self, role: Role) -> Kept:
        """Return an engine for the database, if possible one whose connections are warm."""
        shelf = self._shelves[role]
        if shelf:
            engine = shelf.pop()
        else:
            engine = Kept(database.make_engine(self.url, role).sync_engine)
            engine.shelf = shelf
        self._lent.append(engine)
        return engine

    def is_at(self, url: str) -> bool:
        """Tell whether `url` is this database, and the caller in the loop that its connections belong to."""
        with contextlib.suppress(RuntimeError):
            return url == self.url and asyncio.get_running_loop() is self._loop
        return False

    async def close(self) -> None:
        """Close everything; the database goes with its server."""
        await self._forget()
        if self._admin is not None:
            await self._admin.close()
            self._admin = None

    async def _forget(self) -> None:
        for shelf in self._shelves.values():
            for engine in shelf:
                await engine.close()
            shelf.clear()

    async def _copy(self) -> None:
        await self.close()
        self._made += 1
        name = f"{self.template}_{self._made}"
        plain = self.server.replace("+asyncpg", "")
        server = await asyncpg.connect(f"{plain}/postgres")
        if self._made > 1:
            await server.execute(f"DROP DATABASE {self.template}_{self._made - 1} WITH (FORCE)")
        await server.execute(f"CREATE DATABASE {name} TEMPLATE {self.template} STRATEGY FILE_COPY")
        await server.close()
        self._admin = await asyncpg.connect(f"{plain}/{name}")
        await self._admin.execute(PREPARE)
        # Without being told, the driver asks for encryption first, on a connection of its own.
        self.url = f"{self.server}/{name}?ssl=disable"


@contextlib.asynccontextmanager
async def reused(server: str, template: str) -> AsyncIterator[Reused]:
    """Give a database, whose engines units of work get from now on."""
    mine = Reused(server, template)

    def make(url: str, role: Role) -> AsyncEngine:
        return mine.engine(role) if mine.is_at(url) else database.make_engine(url, role)

    unit_of_work.make_engine = make
    yield mine
    unit_of_work.make_engine = database.make_engine
    await mine.close()
