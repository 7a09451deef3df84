"""`coop network`: register and list networks."""

from pathlib import Path
from urllib.parse import urlsplit

import click

from coop.authorization.onboarding import CALLBACKS, onboard
from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.cli.network_admins import admin
from coop.networks import endpoints, networks


@click.group()
def network() -> None:
    """Register and list networks."""


network.add_command(admin)


@network.command()
@click.argument("kind", metavar="KIND")
@click.argument("url")
@data_option
@click.option("--name", help="What people call the network; its host unless given.")
@click.option("--callback", help="The path at which it receives people back, where the kind does not say.")
@click.option(
    "--webhook", help="Where the network wants to be told when a membership begins, changes or ends."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(
    kind: str,
    url: str,
    data: Path | None,
    name: str | None,
    callback: str | None,
    webhook: str | None,
    *,
    as_json: bool,
) -> None:
    """Register the network at URL, sign the covenant for it, and print what its software must be told.

    KIND is mastodon, discourse, synapse, nextcloud, forgejo, wordpress or own. The client secret is shown once.
    """
    settings = settings_of(data)

    async def register() -> None:
        async with opened(settings) as units, units.open() as work:
            made = await onboard(
                work, kind=kind, name=name or urlsplit(url).hostname or url, origin=url, callback=callback
            )
            facts: dict[str, str | None] = {
                "network": made.network.slug,
                "issuer": settings.issuer,
                "discovery": settings.url("/.well-known/openid-configuration"),
                "client_id": made.client.client_id,
                "client_secret": made.client_secret,
                "redirect_uri": made.client.redirect_uris[0],
                "scope": made.client.scope,
            }
            if webhook is not None:
                _, facts["webhook_secret"] = await endpoints.create(work, made.network.id, webhook)
        if as_json:
            print_json(facts)
            return
        click.echo(
            f"{made.network.name} is registered and has signed the covenant in force. Tell its software:\n"
        )
        for key, value in facts.items():
            click.echo(f"  {key:<14}{value}")
        if kind not in CALLBACKS:
            click.echo(f"\n{kind!r} is not a kind we know; check the redirect_uri against its documentation.")
        click.echo("\nKeep what is secret now: it is not shown again.")

    run(register())


@network.command(name="list")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(data: Path | None, *, as_json: bool) -> None:
    """List the networks that people can join."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.read() as work:
            found = await networks.directory(work)
        if as_json:
            print_json([{"slug": n.slug, "name": n.name, "kind": n.kind, "origin": n.origin} for n in found])
            return
        for one in found:
            click.echo(f"{one.slug:<24}{one.kind:<12}{one.origin}")

    run(look())
