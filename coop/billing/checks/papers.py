"""Receipts and credit notes are numbered from one without a gap in each year, as the tax office wants them."""

from sqlalchemy import func, select

from coop.billing.receipts import Receipt, ReceiptSeries
from coop.ledger.checks.report import Check, Finding, check
from coop.unit_of_work import UnitOfWork

_SHOWN = 10


async def receipts_numbered(work: UnitOfWork) -> Check:
    """No number of a year is missing, and the last one given is the last there is."""
    rows = await work.session.execute(
        select(Receipt.kind, Receipt.year, func.count(), func.max(Receipt.number)).group_by(
            Receipt.kind, Receipt.year
        )
    )
    issued = {(kind, year): (int(count), int(last)) for kind, year, count, last in rows}
    series = {(one.kind, one.year): one.last for one in await work.session.scalars(select(ReceiptSeries))}
    findings = []
    for kind, year in sorted({*issued, *series}):
        count, highest = issued.get((kind, year), (0, 0))
        last = series.get((kind, year), 0)
        if count == highest == last:
            continue
        numbers = await work.session.scalars(
            select(Receipt.number).where(Receipt.kind == kind, Receipt.year == year)
        )
        missing = sorted(set(range(1, max(highest, last) + 1)) - set(numbers))
        shown = ", ".join(str(number) for number in missing[:_SHOWN])
        findings.append(
            Finding(
                where=f"{kind.replace('_', ' ')}s of {year}",
                expected=f"the numbers 1 to {max(highest, last)}, each once, and {last} as the last one given",
                found=(f"{len(missing)} missing: {shown}" if missing else "none missing")
                + (", …" if len(missing) > _SHOWN else "")
                + f"; the highest is {highest}",
                remedy="Restore the missing ones from a backup; a number that was given must never be given again, nor vanish",
            )
        )
    return check("receipts_numbered", findings, holds=f"{sum(c for c, _ in issued.values())} without a gap")
