"""`coop migrate`: bring the database to this version."""

from pathlib import Path

import click

from coop import schema
from coop.cli.configuration import data_option, run, settings_of, units_of


@click.command()
@data_option
def migrate(data: Path | None) -> None:
    """Bring the database to this version; safe to repeat, and all or nothing."""
    settings = settings_of(data)

    async def bring() -> None:
        units = units_of(settings)
        try:
            if not await schema.behind(units.writer):
                click.echo("The database is up to date.")
                return
            await schema.upgrade(units.writer)
            click.echo("The database has been brought to this version.")
        finally:
            await units.close()

    run(bring())
