"""The whole balance: what Stripe holds for us is what the books say, to the cent."""

from datetime import datetime

from sqlalchemy import select

from coop.billing.gateway import Gateway
from coop.billing.reconciliation import differences, movements
from coop.billing.reconciliation.differences import Difference, Found
from coop.billing.reconciliation.tally import Tally
from coop.ledger import RESERVE, STRIPE, Posting
from coop.money import Money
from coop.unit_of_work import Units

OBJECT = "balance"


async def compare(units: Units, gateway: Gateway, tally: Tally, *, start: datetime) -> None:
    """Name a balance that neither the books nor the open differences explain."""
    apart, held = await _apart(units, gateway)
    if apart:
        # Something may have moved since the movements were read.
        await movements.match(units, gateway, tally, start=start)
        apart, held = await _apart(units, gateway)
    async with units.open() as work:
        if not apart:
            found = await work.session.scalar(
                select(Difference.id).where(Difference.kind == "balance", Difference.state == "open")
            )
            if found is not None:
                tally.closed += await differences.gone(work, found)
            return
        tally.opened += await differences.note(
            work,
            Found(
                kind="balance",
                object_id=OBJECT,
                since=work.now,
                at_stripe=held,
                in_books=held - apart,
                # Money that was there before the books began is the likeliest cause.
                proposed=(Posting(STRIPE, apart), Posting(RESERVE, -apart)),
            ),
        )


async def _apart(units: Units, gateway: Gateway) -> tuple[Money, Money]:
    held = await gateway.lists.balance(units.settings.currency)
    async with units.read() as work:
        return await movements.unexplained(work, held), held
