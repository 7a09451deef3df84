"""`coop init`: write the settings of a new cooperative, with secrets, and open its books."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import click

from coop import policies, schema
from coop.cli.configuration import SETTINGS_FILE, run, settings_of, units_of
from coop.database import is_sqlite
from coop.errors import Refused
from coop.settings import Settings


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="COOP_DATA",
    required=True,
    help="The folder to make.",
)
@click.option("--issuer", required=True, help="The public origin, like https://members.example.org.")
@click.option("--name", default="Commons Cooperative", help="What members call the cooperative.")
@click.option("--currency", default="usd", help="The home currency of the books; it cannot change later.")
@click.option("--time-zone", default="UTC", help="Where a membership day begins, like Europe/Warsaw.")
@click.option("--database-url", help="PostgreSQL, for production; an SQLite file in the folder unless given.")
def init(data: Path, issuer: str, name: str, currency: str, time_zone: str, database_url: str | None) -> None:
    """Write DATA/coop.toml with fresh secrets, make the database, and adopt the founding policies."""
    write_settings(
        data, issuer=issuer, name=name, currency=currency, time_zone=time_zone, database_url=database_url
    )
    settings = settings_of(data)
    run(open_books(settings))
    click.echo(
        f"{settings.name} is founded. Its settings are in {data / SETTINGS_FILE}; keep that file secret, and keep a\n"
        "copy of pairwise_secret apart from your backups: it can never be changed.\n"
        f"Next: coop doctor --data {data}   and   coop serve --data {data}"
    )


def write_settings(data: Path, **chosen: str | int | bool | None) -> None:
    """Write the settings file with fresh secrets, readable by its owner only."""
    path = data / SETTINGS_FILE
    if path.exists():
        raise Refused(f"{path} exists; this cooperative is founded already")
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    values = {key: value for key, value in chosen.items() if value is not None}
    values |= {"secret_key": secrets.token_hex(32), "pairwise_secret": secrets.token_hex(32)}
    Settings(**values)  # type: ignore[arg-type]  # checks the values before anything is written
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(toml(values))


def toml(values: Mapping[str, object]) -> str:
    """Write settings as TOML: a JSON string, number or boolean is also one there."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


async def open_books(settings: Settings) -> None:
    """Make the database and adopt the founding policies; safe to repeat after an interruption."""
    if is_sqlite(settings.database_url):
        Path(settings.database_url.partition(":///")[2]).parent.mkdir(parents=True, exist_ok=True)
    units = units_of(settings)
    try:
        await schema.upgrade(units.writer)
        async with units.open() as work:
            if not await policies.law(work):
                await policies.found(work)
    finally:
        await units.close()
