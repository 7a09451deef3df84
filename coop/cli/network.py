"""`coop network`: plug networks in, show them again, and see to them afterwards."""

from pathlib import Path
from urllib.parse import urlsplit

import click

from coop.authorization import onboarding, recipes, supervision
from coop.authorization.onboarding import Onboarded
from coop.authorization.recipes import Facts
from coop.cli import moving
from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.cli.network_admins import admin
from coop.networks import covenant, networks, origins
from coop.settings import Settings

reason_option = click.option("--reason", required=True, help="Why; it is written into the audit log.")

EXAMPLE = Facts(
    cooperative="Commons Cooperative",
    issuer="https://members.example",
    network="Lantern",
    slug="lantern",
    origin="https://lantern.example",
    client_id="2b7c7a52-6f0e-4f1c-9a58-6a1d9e0c3f47",
    client_secret="coop_cs_SHOWN-ONCE",  # noqa: S106 - a specimen
    redirect_uri="",
    provider="1B3X2R7VZ3H7VTHKZTR4BG0000",
    random="0123456789abcdef0123456789abcdef",
)
"""The cooperative and the network of the documentation."""


@click.group()
def network() -> None:
    """Plug networks in, and see to them."""


for command in (admin, moving.import_, moving.claim_links, moving.accounts):
    network.add_command(command)


@network.command()
@click.argument("kind", metavar="KIND")
@click.argument("url")
@data_option
@click.option("--name", help="What people call the network; its host unless given.")
@click.option("--slug", help="Its short name in addresses and commands; made from the name unless given.")
@click.option("--callback", help="The path at which it receives people back, where the kind does not say.")
@click.option(
    "--webhook", help="Where the network wants to be told when a membership begins, changes or ends."
)
@click.option("--members-only", is_flag=True, help="Send nobody but members back to it, signed in.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(
    kind: str,
    url: str,
    data: Path | None,
    name: str | None,
    slug: str | None,
    callback: str | None,
    webhook: str | None,
    *,
    members_only: bool,
    as_json: bool,
) -> None:
    """Register the network at URL, sign the covenant for it, and print the configuration of its software, ready to paste.

    KIND is the software: `coop network recipe` lists the kinds. The client secret is shown once.
    """
    settings = settings_of(data)

    async def register() -> None:
        host = urlsplit(origins.canonical(url, settings)).hostname or ""
        async with opened(settings) as units, units.open() as work:
            made = await onboarding.onboard(
                work,
                kind=kind,
                name=name or host,
                origin=url,
                slug=slug,
                callback=callback,
                webhook=webhook,
            )
            if members_only:
                await supervision.gate(
                    work, made.network, members_only=True, reason="Registered so.", by=None
                )
        if as_json:
            print_json(_facts(settings, made))
        else:
            _print(made)

    run(register())


@network.command()
@click.argument("slug")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(slug: str, data: Path | None, *, as_json: bool) -> None:
    """Print a network's configuration once more, with a marker where the secret goes."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.read() as work:
            found = await networks.by_slug(work, slug)
            client = await onboarding.client_of(work, found.id)
            signed = (await covenant.signed(work, [found.id])).get(found.id)
            text = onboarding.configuration(settings, found, client)
        if as_json:
            print_json(
                {
                    "network": found.slug,
                    "kind": found.kind,
                    "origin": found.origin,
                    "state": found.state,
                    "covenant_version": signed,
                    "issuer": settings.issuer,
                    "client_id": client.client_id,
                    "redirect_uris": client.redirect_uris,
                    "members_only": client.members_only,
                    "configuration": text,
                }
            )
        else:
            click.echo(text)

    run(look())


@network.command()
@click.argument("kind", metavar="KIND", required=False)
def recipe(kind: str | None) -> None:
    """Print the recipe for a KIND of software with example values, or list the kinds."""
    if kind is None:
        for one in recipes.KINDS:
            click.echo(f"{one:<18}{recipes.find(one).name}")
    else:
        click.echo(example(kind), nl=False)


def example(kind: str) -> str:
    """Return a recipe with the values of the documentation."""
    found = recipes.find(kind)
    path = found.callbacks[0].replace("<<provider>>", EXAMPLE.provider)
    return recipes.render(found, recipes.at(EXAMPLE, path))


@network.command(name="rotate-secret")
@click.argument("slug")
@data_option
@click.option(
    "--reason", default="A new secret was asked for.", help="Why; it is written into the audit log."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rotate_secret(slug: str, data: Path | None, reason: str, *, as_json: bool) -> None:
    """Give a network a new client secret, shown once; the old one works for another 24 hours."""
    settings = settings_of(data)

    async def rotate() -> None:
        async with opened(settings) as units, units.open() as work:
            found = await networks.by_slug(work, slug)
            client = await onboarding.client_of(work, found.id)
            secret = await supervision.rotate_secret(work, found, client, reason=reason, by=None)
        if as_json:
            print_json({"network": slug, "client_id": client.client_id, "client_secret": secret})
            return
        click.echo(f"client_id      {client.client_id}\nclient_secret  {secret}\n")
        click.echo("Keep it now: it is not shown again. The old one works for another 24 hours.")

    run(rotate())


@network.command()
@click.argument("slug")
@data_option
@reason_option
def suspend(slug: str, data: Path | None, reason: str) -> None:
    """Stop new sign-ins to a network that breaks the covenant; nobody's data is touched."""
    settings = settings_of(data)

    async def act() -> None:
        async with opened(settings) as units, units.open() as work:
            found = await networks.by_slug(work, slug)
            await supervision.suspend(work, found, reason=reason, by=None)
        click.echo(f"{slug} is suspended: nobody can sign in there through the cooperative.")

    run(act())


@network.command()
@click.argument("slug")
@data_option
@reason_option
def reinstate(slug: str, data: Path | None, reason: str) -> None:
    """Let people sign in to a suspended network again."""
    settings = settings_of(data)

    async def act() -> None:
        async with opened(settings) as units, units.open() as work:
            found = await networks.by_slug(work, slug)
            await supervision.reinstate(work, found, reason=reason, by=None)
        click.echo(f"{slug} is active again.")

    run(act())


@network.command()
@click.argument("slug")
@data_option
@click.option("--reason", default="The covenant in force.", help="Why; it is written into the audit log.")
def sign(slug: str, data: Path | None, reason: str) -> None:
    """Sign the covenant in force for a network."""
    settings = settings_of(data)

    async def act() -> None:
        async with opened(settings) as units, units.open() as work:
            found = await networks.by_slug(work, slug)
            version = await supervision.sign(work, found, reason=reason, by=None)
        click.echo(f"{slug} has signed version {version} of the covenant.")

    run(act())


@network.command()
@click.argument("slug")
@click.argument("who", type=click.Choice(["members", "everybody"]))
@data_option
@reason_option
def gate(slug: str, who: str, data: Path | None, reason: str) -> None:
    """Send nobody but members, or everybody, back to a network, signed in; for software that cannot gate by itself."""
    settings = settings_of(data)

    async def act() -> None:
        async with opened(settings) as units, units.open() as work:
            found = await networks.by_slug(work, slug)
            await supervision.gate(work, found, members_only=who == "members", reason=reason, by=None)
        click.echo(f"The cooperative's door to {slug} is open to {who}.")

    run(act())


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


def _facts(settings: Settings, made: Onboarded) -> dict[str, object]:
    told: dict[str, object] = {
        "network": made.network.slug,
        "kind": made.network.kind,
        "origin": made.network.origin,
        "covenant_version": made.covenant_version,
        "issuer": settings.issuer,
        "discovery": settings.url("/.well-known/openid-configuration"),
        "client_id": made.client.client_id,
        "client_secret": made.client_secret,
        "redirect_uri": made.client.redirect_uris[0],
        "redirect_uris": made.client.redirect_uris,
        "post_logout_redirect_uris": made.client.post_logout_redirect_uris,
        "backchannel_logout_uri": made.client.backchannel_logout_uri,
        "auth_method": made.client.auth_method,
        "scope": made.client.scope,
        "configuration": made.configuration,
    }
    if made.webhook_secret is not None:
        told["webhook_secret"] = made.webhook_secret
    return told


def _print(made: Onboarded) -> None:
    click.echo(f"Registered    {made.network.name} ({made.network.slug}), {made.network.origin}")
    click.echo(f"Covenant      version {made.covenant_version} signed")
    click.echo(f"Client        {made.client.client_id}, {made.client.auth_method}")
    if made.webhook_secret is not None:
        click.echo(f"Webhooks      secret {made.webhook_secret}")
    click.echo(f"\n{made.configuration}")
    click.echo(
        "The secrets above are not shown again. `coop doctor` says whether the network can be reached, and "
        f"`coop network show {made.network.slug}` prints this once more without them."
    )
