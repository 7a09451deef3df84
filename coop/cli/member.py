"""`coop member`: look up one member's standing."""

from pathlib import Path

import click

from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.errors import NotFound
from coop.identity import accounts
from coop.membership import standing
from coop.stewardship import audit


@click.group()
def member() -> None:
    """Look up one member's standing."""


@member.command()
@click.argument("handle")
@data_option
@click.option("--reason", default="Support at the command line", help="Why you look; the member can read it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(handle: str, data: Path | None, reason: str, *, as_json: bool) -> None:
    """Show one member's standing; the look is written into the audit log, where the member sees it."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.open() as work:
            account = await accounts.by_handle(work, handle)
            if account is None:
                raise NotFound(f"nobody has the handle {handle!r}")
            now = await standing.of(work, account.id)
            await audit.record(work, act="member.looked_up", reason=reason, actor=None, about=account.id)
            facts = {
                "handle": account.handle,
                "joined": account.created_at.isoformat(),
                "standing": now.state,
                "ends": now.ends.isoformat() if now.ends else None,
                "email_verified": account.email_verified_at is not None,
                "locked": account.locked_at is not None,
            }
        if as_json:
            print_json(facts)
            return
        for name, value in facts.items():
            click.echo(f"{name.replace('_', ' '):<16}{value if value is not None else '-'}")

    run(look())
