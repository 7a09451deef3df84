"""`coop network admin`: say who may open a network's console."""

from pathlib import Path

import click

from coop.cli.configuration import data_option, opened, run, settings_of
from coop.errors import NotFound
from coop.identity import accounts
from coop.networks import admins, networks


@click.command()
@click.argument("slug")
@click.argument("handle")
@data_option
@click.option("--remove", is_flag=True, help="Take the network out of their hands instead.")
def admin(slug: str, handle: str, data: Path | None, *, remove: bool) -> None:
    """Let HANDLE administer the network SLUG: they may open its console, change its keys and its webhook."""
    settings = settings_of(data)

    async def name() -> None:
        async with opened(settings) as units, units.open() as work:
            network = await networks.by_slug(work, slug)
            account = await accounts.by_handle(work, handle)
            if account is None:
                raise NotFound(f"nobody has the handle {handle!r}; let them sign up first")
            if remove:
                await admins.remove(work, network.id, account.id, by=None)
                click.echo(f"{handle} does not administer {network.name} any more.")
                return
            await admins.add(work, network.id, account.id, by=None)
            click.echo(f"{handle} administers {network.name}: {settings.url(f'/networks/{slug}/console')}")

    run(name())
