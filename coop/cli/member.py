"""`coop member`: look up one member's standing, and hand over or erase what is held about them."""

import os
from pathlib import Path

import click

from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.errors import NotFound
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.leaving import erasures
from coop.membership import standing
from coop.stewardship import audit
from coop.unit_of_work import UnitOfWork


@click.group()
def member() -> None:
    """Look up one member's standing, and hand over or erase what is held about them."""


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
            account = await _found(work, handle)
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


@member.command()
@click.argument("handle")
@data_option
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The archive to write."
)
@click.option("--reason", required=True, help="Who asked and how; the member can read it.")
def export(handle: str, data: Path | None, out: Path, reason: str) -> None:
    """Write everything that is held about HANDLE into one archive, for a member who asked in writing.

    It is written into the audit log first, where the member sees it.
    """
    # Its page needs the templates, which other commands do not.
    from api import archive  # noqa: PLC0415

    settings = settings_of(data)

    async def hand_over() -> None:
        async with opened(settings) as units:
            async with units.read() as work:
                account = await _found(work, handle)
            try:
                # For the eyes of whoever exports alone, until it is handed over.
                descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError as error:
                raise click.UsageError(f"{out} exists already; name a new file.") from error
            with os.fdopen(descriptor, "wb") as archived:
                async with units.open() as work:
                    await audit.record(
                        work, act="member.exported", reason=reason, actor=None, about=account.id
                    )
                await archive.write(units, account.id, archived)
        click.echo(
            f"What is held about {handle} is in {out}. Hand it to nobody else, and delete it afterwards."
        )

    run(hand_over())


@member.command()
@click.argument("handle")
@data_option
@click.option("--reason", required=True, help="Who asked and how; the member can read it.")
def erase(handle: str, data: Path | None, reason: str) -> None:
    """Have HANDLE erased, for a member who asked in writing: after two weeks at the least, in which they may say no.

    They are written to, can keep the account by one button, and see in their record who asked and why.
    """
    settings = settings_of(data)

    async def ask() -> None:
        async with opened(settings) as units, units.open() as work:
            account = await _found(work, handle)
            asked = await erasures.ask(work, account.id, in_writing=reason)
        click.echo(f"{handle} will be erased on {asked.due_at:%d %B %Y}, unless they keep the account.")

    run(ask())


async def _found(work: UnitOfWork, handle: str) -> Account:
    account = await accounts.by_handle(work, handle)
    if account is None:
        raise NotFound(f"nobody has the handle {handle!r}")
    return account
