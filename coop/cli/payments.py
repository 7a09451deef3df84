"""`coop payments`: what comes by bank transfer."""

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from coop.billing.offline import matching, statements
from coop.billing.offline.figures import DayOrder, DecimalMark
from coop.billing.offline.statements import Preset
from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.stewardship import audit

if TYPE_CHECKING:
    from coop.billing.offline.matching import Report
    from coop.money import Currency

SHOWN = 50
"""Lines of each kind that are listed."""

_MEANT = {
    "exact": "pay what was announced",
    "over": "pay more than was announced; beyond the price it goes to the pool",
    "under": "pay less than was announced",
    "no_reference": "name no reference",
    "unknown_reference": "name a reference that nobody was given",
    "several_references": "name several references",
    "account_closed": "are for an account that is locked or erased",
    "dispute_open": "are for somebody whose bank disputes an earlier payment",
    "too_small": "are smaller than the least that their senders can pay",
    "household_short": "pay for less than all of a household, and the pool cannot add the rest",
    "gift_short": "are less than a gift costs",
    "needs_email": "pay a part, for a first place, without a confirmed e-mail address",
}


@click.group()
def payments() -> None:
    """Bring in what came by bank transfer."""


@payments.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@data_option
@click.option("--dry-run", is_flag=True, help="Say what would happen, change nothing.")
@click.option(
    "--preset", type=click.Choice(get_args(Preset)), default="generic", help="How the columns are called."
)
@click.option("--encoding", help="How the file is written, such as windows-1250; found out unless given.")
@click.option(
    "--decimal", type=click.Choice(get_args(DecimalMark)), default="auto", help="The decimal mark of amounts."
)
@click.option(
    "--dates",
    type=click.Choice(get_args(DayOrder)),
    default="auto",
    help="Whether the day or the month comes first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every line.")
def import_(
    file: Path,
    data: Path | None,
    preset: Preset,
    encoding: str | None,
    decimal: DecimalMark,
    dates: DayOrder,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import the statement FILE of the bank account (CSV), and match what came in with the transfers announced.

    A second run of the same file, or of one that overlaps it, books nothing twice.
    """
    settings = settings_of(data)
    statement = statements.read(
        file.read_bytes(), settings.money, preset=preset, encoding=encoding, decimal=decimal, dates=dates
    )

    async def bring_in() -> None:
        async with opened(settings) as units:
            if dry_run:
                report = await matching.rehearse(units, statement)
            else:
                report = await matching.bring_in(units, statement)
                async with units.open() as work:
                    await audit.record(
                        work,
                        act="payments.imported",
                        reason="A statement of the bank account",
                        actor=None,
                        subject=f"{len(report.verdicts)} new of {len(statement.lines)}",
                    )
        if as_json:
            print_json(document(report, rehearsed=dry_run))
        else:
            tell(report, settings.money, rehearsed=dry_run)

    run(bring_in())


def tell(report: "Report", money: "Currency", *, rehearsed: bool) -> None:
    """Print the report for a person; nobody's name is in it."""
    statement = report.statement
    counts = report.count()
    for name, meant in _MEANT.items():
        if counts[name]:
            click.echo(f"{counts[name]:>7}  {name:<20}{meant}")
            for line, _ in [one for one in report.verdicts if name in (one[1].fit, one[1].why)][:SHOWN]:
                click.echo(
                    f"{'':>11}line {line.line}: {line.booked_on:%Y-%m-%d} {money.plain(line.amount):>12}"
                )
    for count, name, meant in (
        (report.known, "known", "were imported before"),
        (statement.debits, "debits", "went out, and are not looked at"),
        (statement.pending, "pending", "are not booked by the bank yet"),
        (len(statement.foreign), "other_currency", f"are not in {money.code.upper()}; book them by hand"),
        (len(report.conflicts), "conflict", "have the bank's identifier of another payment; look at them"),
        (len(statement.faults), "unreadable", "cannot be read"),
    ):
        if count:
            click.echo(f"{count:>7}  {name:<20}{meant}")
    for number in (*statement.foreign, *report.conflicts)[:SHOWN]:
        click.echo(f"{'':>11}line {number}")
    for number, fault in statement.faults[:SHOWN]:
        click.echo(f"{'':>11}line {number}: {fault}")
    click.echo("Nothing was changed: this was a rehearsal." if rehearsed else "Done.")


def document(report: "Report", *, rehearsed: bool) -> dict[str, object]:
    """Return the report for a script."""
    statement = report.statement
    return {
        "rehearsed": rehearsed,
        "outcomes": {name: report.count()[name] for name in _MEANT},
        "known": report.known,
        "debits": statement.debits,
        "pending": statement.pending,
        "other_currency": statement.foreign,
        "conflicts": report.conflicts,
        "unreadable": [{"line": number, "fault": fault} for number, fault in statement.faults],
        "lines": [
            {
                "line": line.line,
                "booked_on": line.booked_on.isoformat(),
                "amount": line.amount.minor,
                "outcome": verdict.fit or verdict.why,
            }
            for line, verdict in report.verdicts
        ],
    }
