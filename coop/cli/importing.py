"""`coop import`: take members and subscriptions over from other tools, without charging anybody twice."""

import csv
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from coop.billing.importing import carrying, from_stripe, opencollective
from coop.billing.importing import members as listed
from coop.billing.importing.carrying import Report
from coop.billing.importing.files import Place, Row
from coop.billing.importing.judging import OUTCOMES, TAKEN, Finding, Options
from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.settings import Settings
from coop.unit_of_work import Units

Command = TypeVar("Command", bound=Callable[..., object])
Source = Callable[[Units, Place], AsyncIterator[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the person at the command line asked for."""

    apply: bool
    invite: bool
    report: Path | None
    as_json: bool


@click.group(name="import")
def import_() -> None:
    """Take over members and subscriptions that another tool was paid for.

    Without --apply nothing is changed: the report says what would become of each row. A second run changes nothing, and
    one that was broken off goes on. Nobody is written to unless you say --invite, and nobody is charged: each
    membership runs until the day until which it is paid for, and belongs to whoever confirms the address it was under.
    """


def shared(command: Command) -> Command:
    """Add what all imports take."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--report",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write what became of every row to this new CSV file.",
        ),
        click.option("--invite", is_flag=True, help="Write to those who are taken over, once each."),
        click.option("--apply", is_flag=True, help="Do it; otherwise only say what would be done."),
        data_option,
    ):
        command = option(command)
    return command


@import_.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@shared
def members(
    file: Path, data: Path | None, report: Path | None, *, apply: bool, invite: bool, as_json: bool
) -> None:
    """Import the members in the CSV FILE: email, and paid_until or paid_through; since and id if you have them."""
    wish = Wish(apply=apply, invite=invite, report=report, as_json=as_json)
    _carry(
        settings_of(data),
        wish,
        listed.SOURCE,
        _of_file(file, lambda place: listed.read(file, place)),
        _lines(file),
    )


@import_.command(name="opencollective")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--every",
    type=click.Choice(["year", "month"]),
    help="How often people give, for members.csv, which does not say.",
)
@shared
def opencollective_(
    file: Path,
    data: Path | None,
    report: Path | None,
    every: opencollective.Every | None,
    *,
    apply: bool,
    invite: bool,
    as_json: bool,
) -> None:
    """Import the contributors in FILE, an export of Open Collective (contributors.csv, or the older members.csv)."""
    wish = Wish(apply=apply, invite=invite, report=report, as_json=as_json)
    source = _of_file(file, lambda place: opencollective.read(file, place, every=every))
    _carry(settings_of(data), wish, opencollective.SOURCE, source, _lines(file))


@import_.command()
@shared
def stripe(data: Path | None, report: Path | None, *, apply: bool, invite: bool, as_json: bool) -> None:
    """Take over the yearly subscriptions of the Stripe account; each goes on as it is, and nothing is changed there."""
    from coop.billing.stripe_gateway import StripeGateway  # noqa: PLC0415 - the other imports need no Stripe

    settings = settings_of(data)

    async def source(units: Units, place: Place) -> AsyncIterator[Row]:
        gateway = StripeGateway(settings)
        try:
            async for row in from_stripe.read(gateway, place, units.clock.wall()):
                yield row
        finally:
            await gateway.close()

    wish = Wish(apply=apply, invite=invite, report=report, as_json=as_json)
    _carry(settings, wish, from_stripe.SOURCE, source, None)


def _of_file(file: Path, read: Callable[[Place], Iterator[Row]]) -> Source:
    del file

    async def source(units: Units, place: Place) -> AsyncIterator[Row]:
        del units
        for row in read(place):
            yield row

    return source


def _lines(file: Path) -> int:
    """Count the lines of a file, for the bar, without keeping it."""
    with file.open("rb") as opened_file:
        return max(1, sum(part.count(b"\n") for part in iter(lambda: opened_file.read(1 << 20), b"")))


def _carry(settings: Settings, wish: Wish, source: str, rows: Source, length: int | None) -> None:
    place = Place(zone=settings.zone, money=settings.money)
    options = Options(source=source, apply=wish.apply, invite=wish.invite)
    outcome: list[Report] = []

    async def work(progress: carrying.Progress, note: Callable[[Finding], object] | None) -> None:
        async with opened(settings) as units:
            outcome.append(
                await carrying.carry(units, rows(units, place), options, progress=progress, note=note)
            )

    with ExitStack() as stack:
        note = _written(stack, wish.report) if wish.report else None
        bar = stack.enter_context(
            click.progressbar(length=length or 0, label=f"Reading {source}", file=sys.stderr)
        )
        run(work(bar.update, note))
    if wish.as_json:
        print_json(_document(outcome[0]))
    else:
        _print(outcome[0], settings)


def _written(stack: ExitStack, path: Path) -> Callable[[Finding], object]:
    try:
        # Identifiers of people elsewhere: readable by the operator alone.
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise click.UsageError(f"{path} exists already; name a new file.") from error
    writer = csv.writer(stack.enter_context(path.open("w", encoding="utf-8", newline="")))
    writer.writerow(("line", "id", "outcome", "meaning"))

    def note(finding: Finding) -> None:
        writer.writerow(
            (finding.line, plain(finding.external_id), finding.outcome, OUTCOMES[finding.outcome])
        )

    return note


def plain(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _print(report: Report, settings: Settings) -> None:
    for outcome, meaning in OUTCOMES.items():
        if report.outcomes[outcome]:
            click.echo(f"{report.outcomes[outcome]:>7}  {outcome:<15}{meaning}")
            for finding in report.shown:
                if finding.outcome == outcome:
                    # As Python writes it, since it may be what a terminal should not be told.
                    click.echo(
                        f"{'':>9}line {finding.line}"
                        + (f": {finding.external_id[:80]!r}" if finding.external_id else "")
                    )
            if outcome not in TAKEN and report.outcomes[outcome] > carrying.SHOWN:
                click.echo(
                    f"{'':>9}and {report.outcomes[outcome] - carrying.SHOWN} more; --report FILE.csv lists them"
                )
    plain_owed = f"{settings.money.plain(report.owed)} {settings.currency.upper()}"
    click.echo(f"\nDues of months to come: {plain_owed}; renewals at Stripe that go on: {report.renewals}.")
    if report.invited:
        click.echo(f"Letters: {report.invited}.")
    click.echo("Done." if report.applied else "Nothing was changed: this was a dry run. Do it with --apply.")


def _document(report: Report) -> dict[str, object]:
    return {
        "applied": report.applied,
        "outcomes": {outcome: report.outcomes[outcome] for outcome in OUTCOMES},
        "rows": [{"line": one.line, "id": one.external_id, "outcome": one.outcome} for one in report.shown],
        "owed": report.owed.minor,
        "renewals": report.renewals,
        "invited": report.invited,
    }
