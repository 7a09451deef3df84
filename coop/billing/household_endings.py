"""Giving back years that one paid for in a household: one of them, or all, as whoever paid may within the days."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from coop.billing import household_dues, letters, operations, withdrawal
from coop.billing.gateway import Gateway
from coop.billing.payments import Payment
from coop.money import ZERO, Money
from coop.sponsorship import places, queue
from coop.unit_of_work import UnitOfWork, Units


@dataclass(frozen=True, slots=True)
class Returnable:
    """A year that its payer can still give back."""

    id: UUID
    account_id: UUID
    handle: str
    amount: Money
    until: datetime


async def returnable(work: UnitOfWork, payer_id: UUID) -> list[Returnable]:
    """Return the years that an account paid for in a household and can still give back."""
    found = []
    for year, term, handle in await household_dues.paid_for(work, payer_id):
        payment = None if year.payment_id is None else await work.session.get(Payment, year.payment_id)
        if payment is None or payment.disputed:
            continue
        dues = await places.dues_of(work, term.policy_version)
        until = payment.received_at + timedelta(days=dues.document.withdrawal_days)
        if until > work.now:
            comes_back = year.amount - await household_dues.given_back(work, year, payment)
            found.append(Returnable(year.id, year.account_id, handle, comes_back, until))
    return found


async def withdraw(units: Units, gateway: Gateway, *, payer_id: UUID, year_id: UUID | None, key: str) -> str:
    """Give back the year `year_id` that one paid for, or all of them; return the path that says so."""
    done = "/account/household?done=withdrawn"
    async with operations.released(units, key) as lease:
        async with units.open() as work:
            answer = await operations.claim(
                work, key, lease=lease, account_id=payer_id, purpose="household withdrawal", facts=(year_id,)
            )
            if answer is not None:
                return answer
            await places.lock(work)
            due = [one for one in await returnable(work, payer_id) if year_id is None or one.id == year_id]
            if not due:
                raise withdrawal.TooLateToWithdraw
            refund_ids = []
            for one in due:
                refund_ids += await withdrawal.give_back(work, one.account_id, by_payer=True)
            await _acknowledge(work, payer_id, due, key)
            await queue.give(work)
            await operations.answer(work, key, done)
        await withdrawal.tell(units, gateway, [], refund_ids)
    return done


async def _acknowledge(work: UnitOfWork, payer_id: UUID, due: list[Returnable], key: str) -> None:
    await letters.post(
        work,
        payer_id,
        letters.HOUSEHOLD_WITHDRAWN,
        key=f"household-withdrawn:{key}",
        amount=sum((one.amount for one in due), ZERO),
        people=[one.handle for one in due],
    )
