"""What the commands share: where the settings are, and how a coroutine is run over the database."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import click

from coop import schema
from coop.clock import MovableClock, SystemClock
from coop.database import is_sqlite
from coop.errors import Unavailable
from coop.settings import Settings, load
from coop.unit_of_work import Units

Command = TypeVar("Command", bound=Callable[..., object])

SETTINGS_FILE = "coop.toml"


def data_option(command: Command) -> Command:
    """Add `--data DIR`: the folder that holds coop.toml (and, by default, the database)."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="COOP_DATA",
        help="The folder with coop.toml; without one, COOP_* variables alone configure coop.",
    )(command)


def settings_of(data: Path | None) -> Settings:
    """Read the settings of the cooperative in `data`."""
    if data is None:
        named = os.environ.get("COOP_SETTINGS")
        return load(Path(named) if named else None)
    return load(data / SETTINGS_FILE, defaults=beside(data))


def beside(data: Path) -> dict[str, object]:
    """Return where the database of `data` is unless its settings say otherwise; the folder may be moved whole."""
    return {"database_url": f"sqlite+aiosqlite:///{(data / 'coop.sqlite').absolute()}"}


def units_of(settings: Settings) -> Units:
    """Return what opens units of work on the database of `settings`."""
    return Units(settings, MovableClock() if settings.demo else SystemClock())


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Units]:
    """Give units over a database that exists and has this version's schema."""
    require_database(settings)
    units = units_of(settings)
    try:
        if await schema.behind(units.writer):
            raise Unavailable("the database has an older schema than this program; run `coop migrate` first")
        yield units
    finally:
        await units.close()


def require_database(settings: Settings) -> None:
    """Refuse an SQLite file that is not there, since SQLite would make an empty one."""
    if is_sqlite(settings.database_url):
        path = Path(settings.database_url.partition(":///")[2])
        if not path.exists():
            raise Unavailable(f"there is no database at {path}; `coop init` makes one")


def run(main: Coroutine[object, object, None]) -> None:
    """Run one command's coroutine to its end."""
    asyncio.run(main)


def print_json(document: object) -> None:
    """Print `document` for a script: sorted keys, one line per key."""
    click.echo(json.dumps(document, indent=2, sort_keys=True, default=str))
