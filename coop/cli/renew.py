"""`coop renew`: do all that is due of years that end, now, and show how far it is."""

import contextlib
import gc
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coop import logs
from coop.cli.configuration import data_option, opened, run, settings_of

if TYPE_CHECKING:
    from coop.progress import Tell

EVERY = 5.0
"""Seconds between two lines where nobody watches a terminal."""


@click.command()
@data_option
def renew(data: Path | None) -> None:
    """Begin the years that are due, from gifts and from the pool, announce ends, and let go what has ended.

    It does what the worker does all day long, beside which it may run, and may be stopped at any moment: begun again, it
    goes on where it stood, and nobody is renewed twice. Letters and news for networks leave by the worker.
    """
    # Whoever asks for help needs none of this.
    from coop.billing import renewal_run  # noqa: PLC0415

    logs.configure()
    settings = settings_of(data)

    async def go() -> None:
        async with opened(settings) as units:
            # What is loaded by now stays to the end: to look for garbage in it, batch by batch, took a quarter of the time.
            gc.freeze()
            stages = renewal_run.stages(units)
            # So that the bars, which come one after another, begin in the same place.
            width = max(len(stage.name) for stage in stages)
            for stage in stages:
                due = await stage.due()
                with _shown(stage.name, due, width) as tell:
                    done = await stage.run(tell)
                click.echo(f"{stage.name}: {done}")

    run(go())


@contextlib.contextmanager
def _shown(name: str, due: int, width: int) -> "Iterator[Tell]":
    """Show how far a stage is: as a bar on a terminal, else by a line now and then."""
    if not due:
        yield _silence
    elif sys.stderr.isatty():
        with _bar(name.ljust(width), due) as tell:
            yield tell
    else:
        yield _lines(name, due)


def _silence(count: int) -> None:
    del count


def _lines(name: str, due: int) -> "Tell":
    done, said = 0, time.monotonic()

    def tell(count: int) -> None:
        nonlocal done, said
        done += count
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            click.echo(f"{name}: {done} of about {due}", err=True)

    return tell


@contextlib.contextmanager
def _bar(name: str, due: int) -> "Iterator[Tell]":
    # Five megabytes that only a watched run needs.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        # Rich draws what is done in red, as if it were amiss.
        BarColumn(complete_style="green", finished_style="green"),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=due)
        yield lambda count: progress.update(task, advance=count)
