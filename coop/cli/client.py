"""`coop client`: programs of the cooperative's own, which act in their own name."""

from pathlib import Path

import click
from sqlalchemy import select

from coop.authorization import clients, registration, scopes
from coop.authorization.clients import Client, NoClient
from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.stewardship import audit


@click.group()
def client() -> None:
    """Let programs of the cooperative's own act in their own name."""


@client.command()
@click.argument("name")
@data_option
@click.option(
    "--scope",
    type=click.Choice([scopes.NETWORKS]),
    required=True,
    help="What it may do: networks is to plug networks in through the API.",
)
@click.option("--reason", required=True, help="Why; it is written into the audit log.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(name: str, data: Path | None, scope: str, reason: str, *, as_json: bool) -> None:
    """Make a client called NAME that gets tokens for a scope that nobody can register for; its secret is shown once."""
    settings = settings_of(data)

    async def make() -> None:
        async with opened(settings) as units, units.open() as work:
            made, secret = await clients.register(
                work, name=name, redirect_uris=[], scope="", grant_types=["client_credentials"]
            )
            clients.entrust(made, scope)
            await audit.record(
                work, act="client.entrusted", reason=reason, actor=None, subject=f"{name}: {scope}"
            )
        if as_json:
            print_json({"client_id": made.client_id, "client_secret": secret, "scope": made.scope})
            return
        click.echo(f"client_id      {made.client_id}\nclient_secret  {secret}\n\nIts token:\n")
        click.echo(f"  curl {settings.url('/oauth/token')} -u {made.client_id}:{secret} \\")
        click.echo(f"    -d grant_type=client_credentials -d scope={scope}\n")
        click.echo("Keep the secret now: it is not shown again.")

    run(make())


@client.command(name="list")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(data: Path | None, *, as_json: bool) -> None:
    """List the programs that may act in their own name, and what they may do."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.read() as work:
            own = select(Client).where(Client.network_id.is_(None), Client.self_registered.is_(False))
            found = (await work.session.scalars(own.order_by(Client.name, Client.id))).all()
        if as_json:
            print_json([{"client_id": c.client_id, "name": c.name, "scope": c.scope} for c in found])
            return
        for one in found:
            click.echo(f"{one.client_id}  {one.name:<24}{one.scope}")

    run(look())


@client.command()
@click.argument("client_id")
@data_option
@click.option("--reason", required=True, help="Why; it is written into the audit log.")
def remove(client_id: str, data: Path | None, reason: str) -> None:
    """Take a program's client away, with every token that it has."""
    settings = settings_of(data)

    async def take() -> None:
        async with opened(settings) as units, units.open() as work:
            found = await clients.find(work, client_id)
            if found is None or found.network_id is not None or found.self_registered:
                raise NoClient("There is no such program; `coop client list` names them.")
            await audit.record(
                work, act="client.removed", reason=reason, actor=None, subject=f"{found.name}: {found.scope}"
            )
            await registration.remove(work, found)
        click.echo("Its tokens are worthless from now on.")

    run(take())
