"""Household sums: whose years begin with what came for a household by bank or in cash, whatever sum it is.

What was announced, or more, is shared equally: beyond the prices it goes to the pool. With less, the pool is asked for the
rest by its own rules. What it cannot add, no program shares out by itself: a treasurer looks, and whoever's years are
paid in full begin, the payer's first; what is left over goes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from coop import policies
from coop.billing import household_dues, receipt_letters
from coop.billing.gateway import PaymentState
from coop.billing.household_dues import HouseholdYear
from coop.billing.offline import transfers
from coop.billing.offline.transfers import Transfer
from coop.billing.payments import Method
from coop.membership import obstacles
from coop.membership.obstacles import DisputeOpen
from coop.money import ZERO, Money
from coop.policies import Dues, Version
from coop.sponsorship import pool, together
from coop.unit_of_work import UnitOfWork, new_id


@dataclass(frozen=True, slots=True)
class Share:
    """What of a sum is for one person's year, of which `price` is to be paid."""

    account_id: UUID
    amount: Money
    price: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Whose years begin with a sum, and what of it goes back."""

    begin: tuple[Share, ...] = ()
    back: tuple[Share, ...] = ()
    more: Money = ZERO
    """What the pool is to add beyond what it keeps already."""
    short: bool = False
    """Not everybody's year can begin who is there to be given one."""
    nobody: bool = False
    """There is nobody to be given a year."""


async def divide(
    work: UnitOfWork, payer_id: UUID, amount: Money, transfer: Transfer | None, *, counts: bool
) -> Division:
    """Say what would become of a sum, and change nothing; `counts` tells that its transfer is still open."""
    price = Money((await transfers.law_of(work, transfer if counts else None)).document.price)
    written = [] if transfer is None else await household_dues.of_transfer(work, transfer.id)
    # Whoever joined since is not in it, also where the same reference comes again.
    people = [year.account_id for year in written] or None
    able = await household_dues.able(work, payer_id, people)
    gone = [one for one in people or () if one not in able]
    if not able:
        return Division(back=(_left(payer_id, amount),), nobody=True)
    announced = price if transfer is None or people is None else Money(transfer.amount.minor // len(people))
    if counts and transfer is not None and amount >= transfer.amount:
        shared = _equally(amount, [*able, *gone], price)
        return Division(begin=shared[: len(able)], back=shared[len(able) :])
    own, each = (min(announced, price), announced) if counts else (price, max(announced, price))
    if amount >= len(able) * own:
        used = min(amount, len(able) * each) if gone else amount
        return Division(begin=_equally(used, able, price), back=_rest(amount - used, gone))
    kept = ZERO
    if counts and transfer is not None:
        kept = await pool.kept(work, household_dues.key_of(transfer.id))
    more = len(able) * price - amount - kept
    least = (await policies.in_force(work, Dues)).document.minimum_card
    if amount.minor // len(able) >= least and (
        more <= ZERO or await together.could(work, more, able, more=bool(kept))
    ):
        return Division(begin=_equally(amount, able, price), more=max(more, ZERO))
    paid = amount.minor // own.minor
    return Division(
        begin=tuple(Share(one, own, price) for one in able[:paid]),
        back=_rest(amount - paid * own, able[paid:]),
        short=True,
    )


async def book(
    work: UnitOfWork,
    state: PaymentState,
    *,
    payer_id: UUID,
    transfer: Transfer | None,
    counts: bool,
    dues: Version[Dues],
    method: Method,
) -> None:
    """Book money for a household that was seen; `counts` tells that it is what has just paid `transfer`.

    The caller holds the queue.
    """
    division = await divide(work, payer_id, state.amount, transfer, counts=counts)
    begin, back, why = division.begin, division.back, receipt_letters.NOT_EVERYBODY
    if division.nobody:
        why = receipt_letters.PAID_TWICE
    try:
        await obstacles.none_before(work, payer_id)
    except DisputeOpen:
        begin, back, why = (), (_left(payer_id, state.amount),), receipt_letters.DISPUTE_OPEN
    kept_under = [household_dues.key_of(transfer.id)] if counts and transfer is not None else []
    if begin and division.more:
        kept_under.append(household_dues.key_of(new_id()))
        people = [share.account_id for share in begin]
        await together.reserve(work, division.more, people, key=kept_under[-1], more=len(kept_under) > 1)
    written = {}
    if counts and transfer is not None:
        written = {year.account_id: year for year in await household_dues.of_transfer(work, transfer.id)}
    years = [_year(share, written.get(share.account_id)) for share in begin]
    left_out = [_year(share, None) for share in back]
    await household_dues.begin(
        work,
        state,
        payer_id=payer_id,
        years=years,
        left_out=left_out,
        kept_under=kept_under,
        dues=dues,
        method=method,
        why=why,
    )


def _year(share: Share, written: HouseholdYear | None) -> HouseholdYear:
    if written is None:
        return HouseholdYear(account_id=share.account_id, amount=share.amount, price=share.price)
    written.amount, written.price = share.amount, share.price
    return written


def _equally(amount: Money, people: Sequence[UUID], price: Money) -> tuple[Share, ...]:
    """Share a sum out to the cent, the first cents to those who come first."""
    whole, cents = divmod(amount.minor, len(people))
    return tuple(Share(one, Money(whole + (nth < cents)), price) for nth, one in enumerate(people))


def _rest(amount: Money, people: Sequence[UUID]) -> tuple[Share, ...]:
    return (_left(people[0], amount),) if amount else ()


def _left(account_id: UUID, amount: Money) -> Share:
    """Return what goes back, as the price of nothing."""
    return Share(account_id, amount, amount)
