"""`coop role`: give the first roles while the founding phase runs, and list who holds one."""

from datetime import timedelta
from pathlib import Path
from typing import get_args

import click
from sqlalchemy import select

from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.errors import NotFound
from coop.governance import founding
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.stewardship import roles
from coop.stewardship.roles import RoleName


@click.group()
def role() -> None:
    """Give the first roles while the founding phase runs, and list who holds one."""


@role.command()
@click.argument("handle")
@click.argument("name", metavar="ROLE", type=click.Choice(get_args(RoleName)))
@data_option
@click.option("--days", type=click.IntRange(1, 1095), default=365, help="When the role ends by itself.")
@click.option("--reason", required=True, help="Why; it is written into the audit log.")
def grant(handle: str, name: RoleName, data: Path | None, days: int, reason: str) -> None:
    """Give HANDLE the ROLE of steward, treasurer, admin or auditor; later, members' votes do that."""
    settings = settings_of(data)

    async def give() -> None:
        async with opened(settings) as units, units.open() as work:
            if not await founding.running(work):
                raise founding.FoundingOver("The founding phase is over: roles come from members' votes now.")
            account = await accounts.by_handle(work, handle)
            if account is None:
                raise NotFound(f"nobody has the handle {handle!r}; let them sign up first")
            until = work.now + timedelta(days=days)
            await roles.grant(work, account.id, name, until=until, act="founding", reason=reason)
        click.echo(f"{handle} is {name} until {until:%d %B %Y}.")

    run(give())


@role.command(name="list")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(data: Path | None, *, as_json: bool) -> None:
    """List who holds a role now, those that end first at the top."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.read() as work:
            living = await roles.holders(work)
            named = select(Account.id, Account.handle).where(
                Account.id.in_({one.account_id for one in living})
            )
            handles = {row.id: row.handle for row in await work.session.execute(named)}
            held = [
                {"handle": handles[one.account_id], "role": one.role, "until": one.expires_at.isoformat()}
                for one in living
            ]
        if as_json:
            print_json(held)
            return
        for one in held:
            click.echo(f"{one['handle']:<32}{one['role']:<12}{one['until'][:10]}")

    run(look())
