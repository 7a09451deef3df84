"""`make bench`: start real servers over real databases, and let them take turns under load."""

import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import click
from rich.console import Console

from benchmarks import against as comparators
from benchmarks import (
    contenders,
    cooperative,
    first_years,
    generators,
    goals,
    measuring,
    paths,
    processes,
    processor,
    renewal,
    report,
)
from benchmarks.contenders import Argon2id, Contender, Pgbench, Server
from benchmarks.cooperative import Cooperative
from benchmarks.load import Load, request
from benchmarks.paths import Yardstick
from tests import postgres

ENGINES = ("postgresql", "sqlite")
PRICE = 2500
"""Of a year, in cents, by the law with which a cooperative is founded."""


def listed(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    """Split a list that a person typed."""
    del context, parameter
    return [word for word in value.replace(",", " ").split() if word]


@dataclass
class Plan:
    """What is to be measured, and how long."""

    engines: list[str]
    only: list[str]
    counts: list[int]
    rounds: int
    seconds: float
    warm_up: float
    members: int
    own_generator: bool
    against: list[str]


@click.command()
@click.option("--engine", default=" ".join(ENGINES), callback=listed, help="postgresql, sqlite or both.")
@click.option("--only", default="", callback=listed, help="The paths to measure; all of them unless named.")
@click.option("--processes", "counts", default="1 2", callback=listed, help="Numbers of server processes.")
@click.option("--rounds", default=3, type=click.IntRange(1, 100), help="Rounds after the warm-up.")
@click.option("--seconds", default=1.0, type=click.FloatRange(0.2, 60), help="The length of a round.")
@click.option("--warm-up", default=2.0, type=click.FloatRange(0, 60), help="Seconds before the first round.")
@click.option("--members", default=1000, type=click.IntRange(20, 1_000_000), help="Members to begin with.")
@click.option("--against", default="", callback=listed, help="Others to measure beside, on PostgreSQL.")
@click.option("--own-generator", is_flag=True, help="Do not use wrk.")
@click.option(
    "--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Also write every figure."
)
def main(
    engine: list[str],
    only: list[str],
    counts: list[str],
    rounds: int,
    seconds: float,
    warm_up: float,
    members: int,
    against: list[str],
    own_generator: bool,  # noqa: FBT001 - click hands a flag over
    file: Path | None,
) -> None:
    """Measure the service on this machine, beside bare routes; benchmarks/README.md says how to read the table."""
    known = paths.every()
    every = [*known, renewal.NAME]
    for asked, there in ((engine, ENGINES), (only, every), (against, comparators.every())):
        if unknown := [word for word in asked if word not in there]:
            raise click.UsageError(f"There is no {unknown[0]}; there are {', '.join(there)}.")
    plan = Plan(
        engines=engine,
        only=only or every,
        counts=[int(count) for count in counts],
        rounds=rounds,
        seconds=seconds,
        warm_up=warm_up,
        members=members,
        own_generator=own_generator,
        against=against,
    )
    console = Console(width=None if sys.stdout.isatty() else 150)
    facts = machine(own=own_generator)
    console.print(" · ".join(f"{name}: {fact}" for name, fact in facts.items()))
    tables: list[measuring.Table] = []
    renewals: list[renewal.Finding] = []
    try:
        anyio.run(_everything, plan, tables, renewals, backend_options={"use_uvloop": True})
    finally:
        report.show(console, tables)
        if renewals:
            console.print(report.renewed(renewals))
        if file is not None:
            report.write(file, facts, tables, renewals)
    if any(row.failed for table in tables for row in table.rows):
        raise SystemExit(1)


def machine(*, own: bool) -> dict[str, object]:
    """Return what the figures depend on."""
    return {
        "processors": os.cpu_count() or 1,
        "Python": platform.python_version(),
        "PostgreSQL": contenders.version(),
        "writes made durable a second": processes.durable_writes(),
        "load generator": generators.name(own=own),
        "load average": f"{os.getloadavg()[0]:.1f}",
    }


async def _everything(plan: Plan, tables: list[measuring.Table], renewals: list[renewal.Finding]) -> None:
    for engine in plan.engines:
        async with database(engine) as (url, postmaster):
            if renewal.NAME in plan.only:
                _say(f"{engine}: renewing {plan.members} members")
                renewals.append(await renewal.measure(engine, url, plan.members))
            if plan.only != [renewal.NAME]:
                await _one_engine(plan, engine, url, postmaster, tables)


@contextlib.asynccontextmanager
async def database(engine: str) -> AsyncIterator[tuple[str, int | None]]:
    """Give an empty database that keeps what it commits, and the process of its server."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="coop-bench-") as folder:
            yield f"sqlite+aiosqlite:///{folder}/coop.sqlite", None
        return
    with postgres.server(durable=True) as server:
        yield await contenders.create_database(server, "coop"), await contenders.postmaster(server)


async def _one_engine(
    plan: Plan, engine: str, url: str, postmaster: int | None, tables: list[measuring.Table]
) -> None:
    _say(f"{engine}: founding a cooperative of {plan.members} members")
    async with contextlib.AsyncExitStack() as stack:
        told = await processor.recorded(PRICE)
        variables = cooperative.environment(url, stack.enter_context(card_processor(told)))
        made = await stack.enter_async_context(cooperative.founded(variables, plan.members))
        made.told = told
        services = {
            count: stack.enter_context(service(processes.clean_environment(**variables), count))
            for count in plan.counts
        }
        made.port = next(iter(services.values()))[0]
        bare = stack.enter_context(bare_routes(processes.clean_environment(**variables)))
        others = [
            await stack.enter_async_context(comparators.every()[name](url.rpartition("/")[0], plan.members))
            for name in (plan.against if postmaster is not None else ())
        ]
        for path in (found for name, found in paths.every().items() if name in plan.only):
            rows: list[Contender] = [
                Server(
                    f"coop, {n} process{'es' if n > 1 else ''}",
                    port,
                    pid,
                    postmaster,
                    partial(path.load, made),
                    plan.own_generator,
                )
                for n, (port, pid) in services.items()
            ]
            rows += [
                Server(
                    other.name,
                    other.port,
                    other.pid,
                    postmaster,
                    partial(other.load, path.name),
                    plan.own_generator,
                )
                for other in others
                if path.name in other.endpoints
            ]
            rows += yardsticks(path.beside, bare, url, postmaster, made, own=plan.own_generator)
            tables.append(
                await measuring.measure(
                    engine,
                    path.name,
                    rows,
                    rounds=plan.rounds,
                    seconds=plan.seconds,
                    warm_up=plan.warm_up,
                    say=_say,
                )
            )


@contextlib.contextmanager
def service(environment: dict[str, str], count: int) -> Iterator[tuple[int, int]]:
    """Serve the cooperative as an operator would; yield its port and its process."""
    port = processes.free_port()
    command = [sys.executable, "-m", "coop.cli", "serve", "--port", str(port)]
    if count > 1:
        command += ["--processes", str(count)]
    with processes.running(command, port=port, environment=environment, ready="/health") as pid:
        yield port, pid


@contextlib.contextmanager
def card_processor(told: dict[str, str]) -> Iterator[int]:
    """Have something answer as Stripe does; yield its port."""
    port = processes.free_port()
    with tempfile.TemporaryDirectory(prefix="coop-bench-") as folder:
        file = Path(folder) / "told.json"
        file.write_text(json.dumps(told), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.processor", str(port), str(file)]
        with processes.running(command, port=port, environment=processes.clean_environment()):
            yield port


@contextlib.contextmanager
def bare_routes(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Serve the two bare routes over the same database."""
    port = processes.free_port()
    command = [sys.executable, "-m", "benchmarks.bare"]
    with processes.running(
        command, port=port, environment=environment | {"BENCH_PORT": str(port)}, ready="/select"
    ) as pid:
        yield port, pid


def yardsticks(
    kind: Yardstick, bare: tuple[int, int], url: str, postmaster: int | None, made: Cooperative, *, own: bool
) -> list[Contender]:
    """Return what the machine does at best of one kind."""
    if kind == "argon2id":
        return [Argon2id("argon2id alone", made.settings.password_workers)]
    if kind == "payment":
        if postmaster is None or not contenders.pgbench():
            return []
        laid_out = partial(first_years.lay_out, made)
        return [
            Pgbench(goals.FIRST_YEAR, url, contenders.FIRST_YEAR, postmaster, prepare=laid_out),
        ]
    sent = request("GET", "/select") if kind == "select" else request("POST", "/insert")

    async def load() -> Load:
        return Load((sent,))

    said = "one SELECT" if kind == "select" else "one INSERT, COMMIT"
    found: list[Contender] = [Server(f"bare Litestar, {said}", *bare, postmaster, load, own)]
    if postmaster is not None and contenders.pgbench():
        statement = contenders.SELECT if kind == "select" else contenders.INSERT
        found.append(Pgbench(f"pgbench, {said}", url, statement, postmaster))
    return found


def _say(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{what}")


if __name__ == "__main__":
    main()
