"""`make bench ONLY=renewal`: the renewal run beside the same work as set-based SQL, on two copies of one database."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
from anyio import to_thread
from sqlalchemy import text

from benchmarks import cooperative, processes, renewal_sql
from coop import policies, schema
from coop.clock import SystemClock
from coop.database import make_engine
from coop.mail import Letter
from coop.settings import Settings, load
from coop.unit_of_work import Units
from tests.line import wait_in_line

NAME = "renewal"
MOST = 2.0
"""How many times as long as set-based SQL the run may take."""

SAME = (
    "SELECT count(*) FROM places WHERE state = 'begun' AND term_id IS NOT NULL",
    "SELECT count(*), sum(amount) FROM pool_reservations WHERE state = 'spent'",
    "SELECT account, count(*), sum(amount) FROM postings GROUP BY account ORDER BY account",
    (
        "SELECT source, description, count(*), count(person), count(policy_version) FROM journal_entries "
        "GROUP BY source, description ORDER BY source"
    ),
    "SELECT account, amount FROM ledger_balances ORDER BY account",
    (
        "SELECT ordinal, year, begins, ends, grace_until, price, count(*) FROM terms "
        "GROUP BY ordinal, year, begins, ends, grace_until, price ORDER BY ordinal, begins"
    ),
    "SELECT covered_until, active, count(*) FROM members GROUP BY covered_until, active ORDER BY covered_until",
    "SELECT kind, count(*), count(dedupe_key) FROM outbox GROUP BY kind ORDER BY kind",
)
"""What must be the same afterwards, whoever did it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One engine's figures."""

    engine: str
    members: int
    sql_seconds: float
    coop_seconds: float
    coop_cpu: float
    """Processor seconds of our process; the rest is the database's."""
    memory: float
    """The most that our process held, in megabytes."""
    memory_of_few: float
    """The same where a hundredth as many were renewed."""

    @property
    def ratio(self) -> float:
        """How many times as long as set-based SQL it took."""
        return self.coop_seconds / self.sql_seconds


async def measure(engine: str, url: str, members: int) -> Finding:
    """Let as many members wait for the pool, and renew them twice: by SQL, and by the command."""
    variables = cooperative.environment(url, 1) | {"COOP_SPONSORSHIP_DELAY_HOURS": "0"}
    async with _made(url, variables, max(1, members // 100)) as few:
        _, _, memory_of_few = await to_thread.run_sync(_renewed, variables | {"COOP_DATABASE_URL": few})
    async with _made(url, variables, members) as ours, _copied(ours) as theirs:
        sql = await _by_sql(engine, theirs, load(environ=variables))
        seconds, cpu, memory = await to_thread.run_sync(_renewed, variables | {"COOP_DATABASE_URL": ours})
        left, right = await _contents(ours), await _contents(theirs)
        for statement, mine, its in zip((*SAME, "letters"), left, right, strict=True):
            if mine != its:
                msg = f"{engine}: coop and SQL did not do the same: {statement}\n{mine[:9]}\n{its[:9]}"
                raise RuntimeError(msg)
    return Finding(engine, members, sql, seconds, cpu, memory, memory_of_few)


@asynccontextmanager
async def _made(url: str, variables: dict[str, str], members: int) -> AsyncIterator[str]:
    """Give a database of a founded cooperative, all of whose members wait in line."""
    async with _fresh(url, f"line{members}") as mine:
        units = Units(load(environ=variables | {"COOP_DATABASE_URL": mine}), SystemClock())
        await schema.upgrade(units.writer)
        async with units.open() as work:
            await policies.found(work)
        await wait_in_line(units, members)
        await units.close()
        yield mine


@asynccontextmanager
async def _fresh(url: str, name: str, like: str | None = None) -> AsyncIterator[str]:
    """Give a database beside that of `url`, empty or a copy."""
    if url.startswith("sqlite"):
        head, _, file = url.partition(":///")
        mine = Path(file).with_name(f"{name}.sqlite")
        if like is not None:
            # Unlike a copy of the file, it has what still lies in the log beside it.
            with (
                contextlib.closing(sqlite3.connect(like.partition(":///")[2])) as source,
                contextlib.closing(sqlite3.connect(mine)) as target,
            ):
                source.backup(target)
        yield f"{head}:///{mine}"
        for part in mine.parent.glob(f"{mine.name}*"):
            part.unlink()
        return
    server = url.rpartition("/")[0]
    template = "" if like is None else f" TEMPLATE {like.rpartition('/')[2]}"
    await _administer(server, f"CREATE DATABASE {name}{template}")
    yield f"{server}/{name}"
    await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def _copied(url: str) -> AsyncIterator[str]:
    async with _fresh(url, "copy", like=url) as copy:
        if not url.startswith("sqlite"):
            # As autovacuum would have done long since. SQLite knows nothing of its tables here, as in a real life.
            for one in (url, copy):
                await _said(one, ["VACUUM ANALYZE"])
        yield copy


async def _administer(server: str, statement: str) -> None:
    await _said(f"{server}/postgres", [statement])


async def _said(url: str, statements: list[str], *, at_once: bool = False) -> None:
    engine = make_engine(url, "writer" if at_once else "reader")
    async with engine.connect() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
        await connection.commit()
    await engine.dispose()


async def _by_sql(engine: str, url: str, settings: Settings) -> float:
    statements = renewal_sql.statements(engine, coop=settings.name, issuer=settings.issuer)
    began = time.perf_counter()
    await _said(url, statements, at_once=True)
    return time.perf_counter() - began


def _renewed(variables: dict[str, str]) -> tuple[float, float, float]:
    """Run the command; return its seconds, its processor's seconds, and the most memory that it held."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "coop.cli", "renew"],
        cwd=processes.ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("COOP_")} | variables,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("the renewal run failed")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


async def _contents(url: str) -> list[list[tuple[str, ...]]]:
    """Return what the tables hold, but for random names and the instant, and a digest of all letters."""
    engine = make_engine(url, "reader")
    async with engine.connect() as connection:
        found = [
            [tuple(str(value) for value in row) for row in await connection.execute(text(statement))]
            for statement in SAME
        ]
        payloads = await connection.scalars(text("SELECT payload FROM outbox WHERE kind = 'Letter'"))
        letters = [msgspec.json.decode(payload, type=Letter) for payload in payloads]
    await engine.dispose()
    written = sorted((letter.to, letter.subject, letter.body) for letter in letters)
    # The first of them, for whoever looks for what differs.
    found.append([(str(written[:1]), sha256(msgspec.json.encode(written)).hexdigest())])
    return found


def told(finding: Finding) -> dict[str, object]:
    """Return the figures for a program."""
    return asdict(finding) | {"ratio": finding.ratio}
