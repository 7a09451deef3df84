"""Giving: what a gift's link and its giver may set in motion at the processor."""

from uuid import UUID

from coop.billing import operations, refunds, subscriptions, withdrawal
from coop.billing.gateway import Gateway, GatewayAway
from coop.billing.payments import Payment
from coop.sponsorship import gifts, places, returns
from coop.unit_of_work import Units


async def claim(units: Units, gateway: Gateway, *, account_id: UUID, secret: str) -> bool:
    """Take a gift up; false if its year follows the one that runs.

    A renewal that would charge the same year is stopped: the gift's page says so before.
    """
    async with units.open() as work:
        gift = await gifts.find(work, secret)
        term = await gifts.claim(work, account_id, secret)
        renews = await subscriptions.renewing(work, account_id) is not None
    if renews:
        await withdrawal.stop(units, gateway, account_id=account_id, key=f"gift:{gift.id}")
    return term is not None


async def take_back(units: Units, gateway: Gateway, *, account_id: UUID, gift_id: UUID, key: str) -> str:
    """Give a gift that nobody has taken up back to its giver; return the path that says so."""
    done = "/gifts"
    async with operations.released(units, key) as lease:
        async with units.open() as work:
            answer = await operations.claim(
                work, key, lease=lease, account_id=account_id, purpose="gift_back", facts=(str(gift_id),)
            )
            if answer is not None:
                return answer
            await places.lock(work)
            gift = await returns.take_back(work, account_id, gift_id)
            payment = await work.session.get_one(Payment, gift.payment_id)
            refund = await refunds.intend(work, payment, gift.amount, reason="gift taken back")
            await operations.answer(work, key, done)
        try:
            await refunds.send(units, gateway, refund.id)
        except GatewayAway:
            # It is written down, and the worker sends it.
            return done
    return done
