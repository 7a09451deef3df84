"""Member credit: money that came without a year to pay for; it waits for a place, or goes back to its owner."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select

from coop import policies
from coop.billing import checkout, intents, refunds
from coop.billing.gateway import Gateway, GatewayAway
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.money import ZERO
from coop.policies import Pool
from coop.sponsorship import places, queue
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units

BATCH = 200


async def leave(units: Units, gateway: Gateway, account_id: UUID) -> None:
    """Take a request for a place back, whatever is under way for it; money that waits with it is sent back at once."""
    async with units.read() as work:
        paying = await intents.live(work, account_id)
    if paying is not None and paying.place_id is not None:
        await checkout.close(units, gateway, paying)
    async with units.open() as work:
        await queue.withdraw(work, account_id)
        due = await _give_back(work, Place.account_id == account_id)
    try:
        for refund_id in due:
            await refunds.send(units, gateway, refund_id)
    except GatewayAway:
        # It is written down; the worker sends it.
        return


async def return_due(units: Units, gateway: Gateway) -> int:
    """Send back what has waited too long for a place, or waits for none any more (a job)."""
    async with units.open() as work:
        await places.lock(work)
        days = (await policies.in_force(work, Pool)).document.credit_days
        waited = and_(Place.state == "queued", Payment.received_at <= work.now - timedelta(days=days))
        due = await _give_back(work, or_(Place.state == "closed", waited))
    for refund_id in due:
        await refunds.send(units, gateway, refund_id)
    return len(due)


async def _give_back(work: UnitOfWork, whose: ColumnElement[bool]) -> list[UUID]:
    waiting = await work.session.execute(
        select(Place, Payment)
        .join(Payment, Payment.id == Place.payment_id)
        .where(
            whose,
            Place.state.in_(("queued", "closed")),
            Payment.refunded == ZERO,
            Payment.disputed == ZERO,
            # What a card's bank sent back to us once would come back again: the member was asked how to send it.
            ~exists().where(Refund.payment_id == Payment.id),
        )
        .limit(BATCH)
    )
    due = []
    for place, payment in waiting.all():
        await places.close(work, place, "refunded")
        due.append((await refunds.intend(work, payment, payment.amount, reason="no place came")).id)
    return due
