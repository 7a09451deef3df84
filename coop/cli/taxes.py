"""`coop books vat`, `vat-paid` and `vat-undo`: what is owed to the tax office, and what was paid to it."""

from pathlib import Path
from uuid import UUID

import click

from coop.billing import vat_payments
from coop.billing.desk import acts, waiting
from coop.billing.vat_payments import PayVat, UndoVat, VatRecorded
from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.identity import accounts
from coop.unit_of_work import UnitOfWork, Units

_by = click.option("--by", required=True, metavar="HANDLE", help="The treasurer who decides it.")
_reason = click.option("--reason", required=True, help="Why; the log keeps it for good.")


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, amounts in minor units.")
def vat(data: Path | None, *, as_json: bool) -> None:
    """Show the VAT that is owed, what each month brought, and what was paid to the tax office."""
    settings = settings_of(data)

    async def show() -> None:
        async with opened(settings) as units, units.snapshot() as work:
            owed, months = await vat_payments.owed(work), await vat_payments.months(work)
            payments = await vat_payments.latest(work)
        if as_json:
            print_json(
                {
                    "owed": owed.minor,
                    "months": [
                        {
                            "month": f"{one.first:%Y-%m}",
                            "rate": one.rate,
                            "arose": one.arose.minor,
                            "went_back": one.went_back.minor,
                        }
                        for one in months
                    ],
                    "payments": [
                        {
                            "id": str(one.id),
                            "period": one.period,
                            "reference": one.reference,
                            "amount": one.amount.minor,
                            "recorded_at": one.recorded_at.isoformat(),
                            "undone_at": None if one.undone_at is None else one.undone_at.isoformat(),
                        }
                        for one in payments
                    ],
                }
            )
            return
        plain = settings.money.plain
        click.echo(f"Owed now: {plain(owed)} {settings.money.code.upper()}")
        for one in months:
            click.echo(
                f"{one.first:%Y-%m}  {one.rate / 100:>5g} %  arose {plain(one.arose):>12}  "
                f"went back {plain(one.went_back):>12}"
            )
        for paid in payments:
            undone = "" if paid.undone_at is None else "  (undone)"
            click.echo(f"paid {paid.period:<7} {plain(paid.amount):>12}  {paid.id}  {paid.reference}{undone}")

    run(show())


@click.command(name="vat-paid")
@data_option
@click.option("--period", required=True, help="A month, quarter or year: 2026-11, 2026-Q4, 2026.")
@click.option("--amount", required=True, help="What was paid, as 123.45.")
@click.option("--reference", required=True, help="The reference of the payment, as the bank has it.")
@_by
@_reason
def vat_paid(data: Path | None, period: str, amount: str, reference: str, by: str, reason: str) -> None:
    """Record VAT that was paid to the tax office from the bank account; the same twice is recorded once.

    A sum above `two_people_above` is only proposed: a second treasurer approves it at the steward's desk.
    """
    settings = settings_of(data)

    async def record() -> None:
        act = PayVat(period=period, reference=reference, amount=settings.money.parse(amount).minor)
        async with opened(settings) as units:
            try:
                click.echo(await _decided(units, act, by=by, reason=reason))
            except VatRecorded:
                click.echo("Recorded before; nothing was changed.")

    run(record())


@click.command(name="vat-undo")
@click.argument("payment", type=click.UUID)
@data_option
@_by
@_reason
def vat_undo(payment: UUID, data: Path | None, by: str, reason: str) -> None:
    """Undo a recorded PAYMENT to the tax office by the opposite entry."""
    settings = settings_of(data)

    async def undo() -> None:
        async with opened(settings) as units:
            click.echo(await _decided(units, UndoVat(payment_id=payment), by=by, reason=reason))

    run(undo())


async def _decided(units: Units, act: PayVat | UndoVat, *, by: str, reason: str) -> str:
    async with units.open() as work:
        proposal = await acts.decide(work, act, by=await _treasurer(work, by), reason=reason)
    return (
        "Booked." if proposal is None else "Proposed: a second treasurer approves it at the steward's desk."
    )


async def _treasurer(work: UnitOfWork, handle: str) -> UUID:
    account = await accounts.by_handle(work, handle)
    if account is None:
        raise waiting.NobodyOfThatName
    return account.id
