"""Together: the pool's part of several years at once, kept whole or not at all.

A household does not queue: a large gap at the head of the line would keep everybody behind it waiting. While somebody
waits, or the pool cannot cover the whole, it pays the price, or its people ask for places of their own.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, true

from coop import policies
from coop.errors import NotAllowed, Refused
from coop.money import Money
from coop.policies import Pool
from coop.sponsorship import limits, places, pool, queue
from coop.sponsorship.limits import EmailNeeded
from coop.sponsorship.places import Place
from coop.sponsorship.pool import PoolEmpty
from coop.unit_of_work import UnitOfWork


class PoolShort(Refused):
    """The solidarity pool cannot add the rest for all of you now. Pay the whole price, or ask for places one by one."""

    code = "pool_short"


async def reserve(
    work: UnitOfWork, gap: Money, accounts: Sequence[UUID], *, key: str, more: bool = False
) -> None:
    """Keep the whole `gap` of the years of `accounts` under `key`, or refuse and keep nothing.

    `more` tells that a part of what these years lack is kept already, and its first years are counted there.
    """
    await places.lock(work)
    # Those who wait come first.
    await queue.give(work)
    newcomers = await _newcomers(work, () if more else accounts)
    try:
        await pool.reserve(work, gap, key=key, first_places=newcomers)
    except PoolEmpty as refusal:
        raise PoolShort from refusal


async def could(work: UnitOfWork, gap: Money, accounts: Sequence[UUID], *, more: bool = False) -> bool:
    """Tell whether the pool would keep `gap` at this moment, and change nothing."""
    try:
        await _newcomers(work, () if more else accounts)
    except (Refused, NotAllowed):
        return False
    return gap <= await pool.free(work)


async def _newcomers(work: UnitOfWork, accounts: Sequence[UUID]) -> int:
    """Return of how many it would be the first year, or refuse what the pool's law does not give."""
    law = (await policies.in_force(work, Pool)).document
    left = law.max_new_places_month - await queue.first_places_this_month(work)
    waits = (
        select(Place.id)
        .where(Place.state == "queued")
        # With the month's first places given out, those who never were members wait for another month, not for money.
        .where(true() if left > 0 else Place.first.is_(False))
        .limit(1)
    )
    if await work.session.scalar(waits) is not None:
        raise PoolShort
    newcomers = 0
    for account_id in accounts:
        first = await limits.newcomer(work, account_id)
        newcomers += first
        try:
            await limits.may_ask(work, account_id, first=first)
        except EmailNeeded as refusal:
            raise PoolShort(
                "The pool's part of a first year needs a confirmed e-mail address, which somebody of you lacks."
            ) from refusal
    if newcomers > max(left, 0):
        raise PoolShort
    return newcomers
