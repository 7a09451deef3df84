"""Contenders: whoever is measured in one row, each able to run one round."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread
from sqlalchemy import text

from benchmarks import generators, processes
from benchmarks.load import CONNECTIONS, Load, Sample, sample
from coop.database import make_engine
from tests import postgres

SELECT = f"SELECT said FROM bench_rows WHERE digest = '\\x{'00' * 32}';"
INSERT = (
    "INSERT INTO bench_rows (digest, said) "
    "VALUES (decode(md5(random()::text) || md5(random()::text), 'hex'), 'a row');"
)


FIRST_YEAR = (processes.ROOT / "benchmarks" / "first_year.sql").read_text(encoding="utf-8")
"""What a newcomer's paid year writes, in one transaction of plain statements."""


class Contender(Protocol):
    """Somebody who can run a round."""

    name: str

    @property
    def warms_up(self) -> bool:
        """Whether the first seconds are slower than the rest: compilers and caches."""

    async def run(self, seconds: float) -> Sample:
        """Run for some seconds, and say how it went."""


@dataclass
class Server:
    """An HTTP server under load; what it and its database cost is read before and after."""

    name: str
    port: int
    pid: int
    postmaster: int | None
    load: Callable[[], Awaitable[Load]]
    own_generator: bool = False
    warms_up: bool = True

    async def run(self, seconds: float) -> Sample:
        """Make the round's requests, then send them."""
        load = await self.load()
        server, database = self._cpu()
        seen = await generators.run(load, self.port, seconds, own=self.own_generator)
        server_after, database_after = self._cpu()
        return replace(
            seen,
            server_cpu=server_after - server,
            database_cpu=database_after - database,
            memory=processes.largest_memory(self.pid),
        )

    def _cpu(self) -> tuple[float, float]:
        database = processes.cpu_seconds(self.postmaster) if self.postmaster else 0.0
        return processes.cpu_seconds(self.pid), database


@dataclass
class Pgbench:
    """PostgreSQL's own benchmark of one statement, prepared, over as many connections: what the database can do."""

    name: str
    url: str
    statement: str
    postmaster: int
    warms_up: bool = False
    prepare: Callable[[float], Awaitable[Mapping[str, str]]] | None = None
    """Lays out the rows that a round changes, and returns the variables of the script."""

    async def run(self, seconds: float) -> Sample:
        """Run pgbench, and read the latencies from its log."""
        variables = await self.prepare(seconds) if self.prepare is not None else {}
        with tempfile.TemporaryDirectory(prefix="coop-bench-") as folder:
            script = Path(folder) / "statement.sql"
            script.write_text(self.statement, encoding="utf-8")
            before = processes.cpu_seconds(self.postmaster)
            whole = max(1, round(seconds))
            await anyio.run_process(
                [
                    *(str(pgbench()), "--no-vacuum", "--protocol", "prepared", "--file", str(script)),
                    *("--client", str(CONNECTIONS), "--jobs", "1", "--time", str(whole), "--log"),
                    *(part for name, value in variables.items() for part in ("--define", f"{name}={value}")),
                    self.url.replace("+asyncpg", ""),
                ],
                cwd=folder,
            )
            seen = await to_thread.run_sync(_logged, Path(folder))
        spent = processes.cpu_seconds(self.postmaster) - before
        p50, p99 = (seen[len(seen) * share // 100] / 1000 for share in (50, 99))
        return Sample(len(seen), whole, p50, p99, database_cpu=spent)


def _logged(folder: Path) -> list[int]:
    """Return how many microseconds each transaction took, in order."""
    return sorted(
        int(line.split()[2])
        for log in folder.glob("pgbench_log.*")
        for line in log.read_text(encoding="utf-8").splitlines()
    )


@dataclass
class Argon2id:
    """The machine's own rate of password digests."""

    name: str
    threads: int
    warms_up: bool = False

    async def run(self, seconds: float) -> Sample:
        """Hash in a process of its own."""
        command = [sys.executable, "-m", "benchmarks.argon2id", str(self.threads), str(seconds)]
        told = (await anyio.run_process(command, cwd=processes.ROOT)).stdout.decode()
        return replace(sample(told), server_cpu=json.loads(told)["cpu"])


def version() -> str:
    """Return which PostgreSQL is measured."""
    told = subprocess.run(  # noqa: S603 - the tests' own PostgreSQL
        [postgres.programs() / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    return told.stdout.split()[2]


def pgbench() -> Path | None:
    """Return PostgreSQL's benchmark, if it came with the server."""
    beside = postgres.programs() / "pgbench"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("pgbench")
    return Path(found) if found else None


async def create_database(server: str, name: str) -> str:
    """Make an empty database; return its URL."""
    engine = make_engine(f"{server}/postgres", "reader")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return f"{server}/{name}"


async def postmaster(server: str) -> int:
    """Return the process from which all others of a database server descend."""
    engine = make_engine(f"{server}/postgres", "reader")
    async with engine.connect() as connection:
        backend = await connection.scalar(text("SELECT pg_backend_pid()"))
        found = processes.parent(backend or 0)
    await engine.dispose()
    return found
