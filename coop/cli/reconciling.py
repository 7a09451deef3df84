"""`coop books reconcile` and `differences`: the books beside Stripe."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.money import Currency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coop.billing.reconciliation import Report
    from coop.billing.reconciliation.differences import Difference
    from coop.unit_of_work import Units


# Stripe's library is imported by who asks Stripe: checking the books needs none of it.
@click.command()
@data_option
@click.option("--quick", is_flag=True, help="Leave out what the hourly run does once a day only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/schemas/reconciliation.schema.json).")
def reconcile(data: Path | None, *, quick: bool, as_json: bool) -> None:
    """Ask Stripe for all that changed since the last time, book what was missed, and name what still differs.

    What a lost webhook would have told is booked at once, so a second run finds nothing more. Exit code 1 if anything
    differs, or if Stripe did not answer to the end; the next run goes on from there.
    """
    from coop import logs  # noqa: PLC0415
    from coop.billing import reconciliation  # noqa: PLC0415
    from coop.billing.stripe_gateway import StripeGateway  # noqa: PLC0415

    logs.configure()
    settings = settings_of(data)
    outcome: list[tuple[Report, Sequence[Difference]]] = []

    async def ask() -> None:
        async with opened(settings) as units:
            gateway = StripeGateway(settings)
            try:
                report = await reconciliation.run(units, gateway, thorough=not quick)
            finally:
                await gateway.close()
            outcome.append((report, await _listed(units)))

    run(ask())
    report, found = outcome[0]
    if as_json:
        print_json(msgspec.to_builtins(report) | {"differences": [_told(one) for one in found]})
    else:
        click.echo(
            f"{report.looked} objects at Stripe looked at, {report.healed} healed, "
            f"{report.closed} differences gone, {report.opened} new, {report.open} open."
        )
        for what, name in report.names:
            click.echo(f"  healed  {what:<32}{name}")
        for step in report.failed:
            click.echo(f"  not finished: {step}; the next run goes on with it (see the log)")
        _print(found, settings.money)
        click.echo("The books agree with Stripe." if report.ok else "The books do not agree with Stripe yet.")
    if not report.ok:
        sys.exit(1)


@click.command()
@data_option
@click.option("--all", "everything", is_flag=True, help="Those that are gone or settled, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def differences(data: Path | None, *, everything: bool, as_json: bool) -> None:
    """List what differs between Stripe and the books, with the entry that would settle it; it asks nobody.

    An entry is proposed by one treasurer and booked by another, at the steward's desk.
    """
    settings = settings_of(data)
    found: list[Difference] = []

    async def look() -> None:
        async with opened(settings) as units:
            found.extend(await _listed(units, everything=everything))

    run(look())
    if as_json:
        print_json([_told(one) for one in found])
    elif found:
        _print(found, settings.money)
    else:
        click.echo("Nothing differs.")


async def _listed(units: "Units", *, everything: bool = False) -> "Sequence[Difference]":
    from coop.billing.reconciliation import differences as kept  # noqa: PLC0415

    rows: list[Difference] = []
    async with units.read() as work:
        while page := await kept.listed(
            work, everything=everything, after=rows[-1].id if rows else None, most=500
        ):
            rows += page
    return rows


def _print(found: "Sequence[Difference]", money: Currency) -> None:
    from coop.billing.reconciliation.differences import KINDS  # noqa: PLC0415

    for one in found:
        click.echo(f"\n{one.kind}  {one.object_id}  since {one.since:%Y-%m-%d %H:%M}  ({one.state})")
        click.echo(f"  {KINDS[one.kind]}")
        if one.at_stripe is not None:
            home = one.currency == money.code
            unit = money if home else Currency.of(one.currency)
            said = f"  Stripe {unit.plain(one.at_stripe)}"
            if one.in_books is not None:
                said += f", books {unit.plain(one.in_books)}"
            click.echo(f"{said} {one.currency.upper()}")
        if one.says:
            click.echo("  " + ", ".join(f"{name} {value}" for name, value in sorted(one.says.items())))
        for posting in one.postings:
            side = "Dr" if posting.amount.minor > 0 else "Cr"
            click.echo(f"    {side} {posting.account:<32}{money.plain(abs(posting.amount)):>12}")
    if found:
        click.echo("")


def _told(one: "Difference") -> dict[str, object]:
    return {
        "id": str(one.id),
        "kind": one.kind,
        "object": one.object_id,
        "stripe": None if one.at_stripe is None else one.at_stripe.minor,
        "books": None if one.in_books is None else one.in_books.minor,
        "currency": one.currency,
        "facts": one.says,
        "entry": [{"account": p.account, "amount": p.amount.minor} for p in one.postings],
        "since": one.since.isoformat(),
        "seen": one.seen_at.isoformat(),
        "state": one.state,
    }
