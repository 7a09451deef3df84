"""`coop sponsor`: the organisations that sponsor, and which of them may be named."""

from pathlib import Path

import click

from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.errors import NotFound
from coop.identity import accounts
from coop.sponsorship import institutions


@click.group()
def sponsor() -> None:
    """List the organisations that sponsor, and let one be named that wants it."""


@sponsor.command(name="list")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(data: Path | None, *, as_json: bool) -> None:
    """List the organisations that said who they are, the newest first."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.read() as work:
            found = [
                {
                    "handle": handle,
                    "name": one.name,
                    "named": "yes" if one.confirmed_at else "waits for you" if one.named else "no",
                }
                for handle, one in await institutions.listed(work)
            ]
        if as_json:
            print_json(found)
            return
        for one in found:
            click.echo(f"{one['handle']:<24}{one['named']:<16}{one['name']}")

    run(look())


@sponsor.command()
@click.argument("handle")
@data_option
@click.option("--reason", required=True, help="How you know that the name is theirs; the audit log keeps it.")
def confirm(handle: str, data: Path | None, reason: str) -> None:
    """Let the organisation of HANDLE be named on the page of sponsors, as it wants to be."""
    settings = settings_of(data)

    async def allow() -> None:
        async with opened(settings) as units, units.open() as work:
            account = await accounts.by_handle(work, handle)
            if account is None:
                raise NotFound(f"nobody has the handle {handle!r}")
            named = await institutions.confirm(work, account.id, actor=None, reason=reason)
        click.echo(f"{named.name} is named once it has given something.")

    run(allow())
