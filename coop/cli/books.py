"""`coop books`: check and export the books."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TextIO

import click
import msgspec

from coop.billing import checks
from coop.cli import reconciling, taxes
from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.ledger import beancount, exports
from coop.ledger.checks import Report
from coop.money import Currency, Money
from coop.unit_of_work import UnitOfWork

Writer = Callable[[UnitOfWork, TextIO], Awaitable[None]]
FORMATS: dict[str, Writer] = {
    "beancount": beancount.export,
    "csv": exports.journal_csv,
    "json": exports.journal_json,
}


@click.group()
def books() -> None:
    """Check and export the books, and hold them against Stripe."""


books.add_command(reconciling.reconcile)
books.add_command(reconciling.differences)
books.add_command(taxes.vat)
books.add_command(taxes.vat_paid)
books.add_command(taxes.vat_undo)


@books.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/schemas/books-check.schema.json).")
def check(data: Path | None, *, as_json: bool) -> None:
    """Check every invariant of the books; exit code 1 if one does not hold, with where, what was found and what to do."""
    settings = settings_of(data)
    found: list[Report] = []

    async def look() -> None:
        async with opened(settings) as units, units.snapshot() as work:
            found.append(await checks.run(work))

    run(look())
    report = found[0]
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        tell(report, settings.money)
    if not report.ok:
        sys.exit(1)


def tell(report: Report, money: Currency) -> None:
    """Print the report for a person."""
    width = max((len(name) for name in report.sums), default=0)
    for name, minor in report.sums.items():
        click.echo(f"{name:<{width}}  {money.plain(Money(minor)):>14}")
    click.echo(f"\n{report.entries} entries, {report.postings} postings")
    for one in report.checks:
        click.echo(f"{'ok ' if one.ok else 'BAD'} {one.name}: {one.detail}")
        for found in one.findings:
            click.echo(f"    {found.where}")
            click.echo(f"      expected: {found.expected}")
            click.echo(f"      found:    {found.found}")
            click.echo(f"      to do:    {found.remedy}")
    click.echo("The books balance." if report.ok else "The books do not hold; see above.")


@books.command()
@data_option
@click.option(
    "--format", "form", type=click.Choice(sorted(FORMATS)), default="beancount", help="What to write."
)
@click.option(
    "--output",
    type=click.File("w", encoding="utf-8", lazy=False),
    default="-",
    help="Where to; standard output unless given.",
)
def export(data: Path | None, form: str, output: TextIO) -> None:
    """Write the whole journal; people appear under their random references only."""
    settings = settings_of(data)

    async def write() -> None:
        async with opened(settings) as units, units.snapshot() as work:
            await FORMATS[form](work, output)

    run(write())
