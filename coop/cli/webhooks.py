"""`coop webhooks`: what networks were told, and telling it again."""

from datetime import UTC, datetime
from pathlib import Path

import click

from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.networks import deliveries, networks
from coop.networks.deliveries import Delivery


@click.group()
def webhooks() -> None:
    """List what a network was told, tell it again, or send a test."""


@webhooks.command(name="list")
@click.argument("slug")
@data_option
@click.option("--most", type=click.IntRange(1, 1000), default=50, help="How many, the newest first.")
@click.option("--failed", is_flag=True, help="Only what has not arrived.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(slug: str, data: Path | None, most: int, *, failed: bool, as_json: bool) -> None:
    """List the latest deliveries to the network SLUG."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.read() as work:
            network = await networks.by_slug(work, slug)
            found = await deliveries.recent(work, network.id, most=most, failed=failed)
        if as_json:
            print_json([_told(one) for one in found])
            return
        for one in found:
            outcome = one.last_failure or one.last_status or "-"
            click.echo(
                f"{one.id}  {one.type:<22}{one.created_at:%Y-%m-%d %H:%M}  {one.state:<10}"
                f"{one.attempts:>3}  {outcome}"
            )

    run(look())


@webhooks.command()
@click.argument("slug")
@click.argument("delivery", required=False)
@data_option
@click.option("--failed", is_flag=True, help="All that has not arrived.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="All that was written since that time (UTC); with --failed, of it what has not arrived.",
)
def replay(
    slug: str, delivery: str | None, data: Path | None, since: datetime | None, *, failed: bool
) -> None:
    """Send the network SLUG one DELIVERY again, or many; each keeps its identifier."""
    if (delivery is None) != (failed or since is not None):
        raise click.UsageError("Name one DELIVERY, or say --failed, --since or both.")
    settings = settings_of(data)

    async def again() -> None:
        async with opened(settings) as units, units.open() as work:
            network = await networks.by_slug(work, slug)
            moment = since.replace(tzinfo=UTC) if since else None
            if delivery is not None:
                await deliveries.replay(work, network.id, delivery)
                count = 1
            elif failed or moment is None:
                count = await deliveries.replay_failed(work, network.id, since=moment)
            else:
                count = await deliveries.replay_since(work, network.id, moment)
        click.echo(f"{count} on the way to {network.name}.")

    run(again())


@webhooks.command()
@click.argument("slug")
@data_option
def test(slug: str, data: Path | None) -> None:
    """Send the network SLUG a test, signed like any fact; `coop webhooks list` shows what became of it."""
    settings = settings_of(data)

    async def send() -> None:
        async with opened(settings) as units, units.open() as work:
            network = await networks.by_slug(work, slug)
            sent = await deliveries.test(work, network.id)
        click.echo(f"{sent.id} is on the way to {network.name}.")

    run(send())


def _told(one: Delivery) -> dict[str, object]:
    return {
        "id": one.id,
        "type": one.type,
        "created_at": one.created_at.isoformat(),
        "state": one.state,
        "attempts": one.attempts,
        "last_status": one.last_status,
        "last_failure": one.last_failure,
        "next_try": one.due_at.isoformat() if one.due_at else None,
        "history": one.history,
    }
