"""`coop clock`: show or move the demo's clock."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import click

from coop import worker
from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.clock import month_anniversary
from coop.errors import Invalid, NotAllowed
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

_STEP = re.compile(r"([1-9][0-9]{0,4})(min|h|d|w|m|y)", re.ASCII)


@click.group()
def clock() -> None:
    """Show or move the demo's clock; a cooperative with real members has no such thing."""


@clock.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(data: Path | None, *, as_json: bool) -> None:
    """Show wall time and business time."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.read() as work:
            tell(work, settings, as_json=as_json)

    run(look())


@clock.command()
@click.argument("step")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def advance(step: str, data: Path | None, *, as_json: bool) -> None:
    """Move business time forward by STEP, like 90min, 12h, 30d, 2w, 6m or 1y.

    A running server does what has become due within a second or two. Wall time, by which sessions and tokens live,
    stays as it is.
    """
    settings = settings_of(data)
    if not settings.demo:
        raise NotAllowed("Only a demo's clock can be moved; this cooperative is not one.")

    async def move() -> None:
        async with opened(settings) as units:
            async with units.read() as work:
                now = work.now
            await units.advance(later(now, step) - now)
            async with units.open() as work:
                await worker.hasten(work)
            async with units.read() as work:
                tell(work, settings, as_json=as_json)

    run(move())


def later(now: datetime, step: str) -> datetime:
    """Return the instant `step` after `now`; months and years go by the calendar."""
    found = _STEP.fullmatch(step)
    if found is None:
        raise Invalid("Say how far, like 90min, 12h, 30d, 2w, 6m or 1y.", field="step")
    count, unit = int(found[1]), found[2]
    if unit in {"m", "y"}:
        day = month_anniversary(now.date(), count * (12 if unit == "y" else 1))
        return now.replace(year=day.year, month=day.month, day=day.day)
    hours = {"min": 1 / 60, "h": 1, "d": 24, "w": 24 * 7}[unit]
    return now + timedelta(hours=count * hours)


def tell(work: UnitOfWork, settings: Settings, *, as_json: bool) -> None:
    """Print the two times."""
    if as_json:
        print_json({"now": work.now.isoformat(), "wall": work.wall.isoformat()})
        return
    click.echo(f"For the cooperative it is {work.now.astimezone(settings.zone):%A, %d %B %Y, %H:%M %Z}.")
