"""Gaps of renewals: the pool's part of a year that renews for less than the price, kept before anything is charged.

It is asked for when the renewal is announced. What was not announced, or has no gap kept a few days before the year
ends, is not charged: the renewal pauses, so that the processor voids its invoice, and the member keeps their place in
the queue with the amount that they chose.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select, tuple_
from sqlalchemy.orm import aliased

from coop import policies
from coop.billing import intents, letters, subscriptions
from coop.billing.intents import Checkout
from coop.billing.subscriptions import Subscription
from coop.errors import Refused
from coop.membership import terms
from coop.membership.renewal import RenewalNotice
from coop.membership.terms import Term
from coop.money import Money
from coop.policies import Dues, Pool
from coop.progress import Tell, nobody
from coop.sponsorship import places, queue
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units

RETRIES = timedelta(days=21)
"""The processor tries a failed card three times over two weeks; the pool's part is kept as long."""

BATCH = 500
"""How many renewals are read at a time."""


async def count_due(work: UnitOfWork) -> int:
    """Return how many renewals are to be looked at."""
    counts = [
        await work.session.scalar(select(func.count()).select_from(wanted.subquery()))
        for wanted in await _wanted(work)
    ]
    return sum(count or 0 for count in counts)


async def keep_due(units: Units, tell: Tell = nobody) -> int:
    """Keep the gaps of renewals that are announced, and pause those that must not be charged (a job)."""
    return await _each(units, 0, _pause, tell) + await _each(units, 1, keep, tell)


async def _pause(work: UnitOfWork, account_id: UUID) -> bool:
    # Nobody is charged for what could not be announced to them: their address is not confirmed any more.
    return bool(await subscriptions.wish(work, account_id, "pause"))


async def _each(
    units: Units, which: int, do: Callable[[UnitOfWork, UUID], Awaitable[bool]], tell: Tell
) -> int:
    done = 0
    after: tuple[datetime, str] | None = None
    while True:
        async with units.read() as work:
            page = (await _wanted(work))[which].order_by(Term.ends, Subscription.id).limit(BATCH)
            if after is not None:
                page = page.where(tuple_(Term.ends, Subscription.id) > tuple_(*after))
            rows = (await work.session.execute(page)).all()
        if not rows:
            return done
        after = rows[-1].ends, rows[-1].id
        for account_id, *_ in rows:
            async with units.open() as work:
                done += await do(work, account_id)
            tell(1)


async def keep(work: UnitOfWork, account_id: UUID) -> bool:
    """Keep the gap of one renewal from its announcement on; pause it if that could not be done in time."""
    # The queue before any row of ours, as everywhere.
    await places.lock(work)
    subscription = await subscriptions.renewing(work, account_id)
    term = await terms.latest(work, account_id)
    dues = (await policies.in_force(work, Dues)).document
    notice = timedelta(days=max(dues.notice_days))
    if subscription is None or subscription.amount >= Money(dues.price):
        return False
    if term is None or term.ended_early_at is not None or not work.now < term.ends <= work.now + notice:
        return False
    # Where they pay another part of this year right now, nothing is changed; should that come to nothing, there is time.
    if await intents.relied_on(work, account_id, but=subscription.amount) is None:
        try:
            place = await queue.ask(work, account_id, contribution=subscription.amount)
        except Refused:
            # Something is to be settled first, or the year is granted already: then there is nothing to keep.
            return False
        if place.state == "offered":
            return place.held_until is None and await places.hold(work, place.id, term.ends + RETRIES)
    last = timedelta(days=(await policies.in_force(work, Pool)).document.reserve_before_end_days)
    if term.ends > work.now + last or not await subscriptions.wish(work, account_id, "pause"):
        return False
    await letters.post(work, account_id, letters.NO_GAP, key=f"no-gap:{term.id}", amount=subscription.amount)
    return True


async def release(work: UnitOfWork, subscription: Subscription) -> None:
    """Give back what was kept for a renewal that will not be charged as it was announced, or leave its queue."""
    await places.lock(work)
    place = await places.open_place(work, subscription.account_id)
    if place is None or place.credited or place.contribution != subscription.amount:
        return
    paying = select(Checkout.id).where(
        Checkout.place_id == place.id, Checkout.state.in_(("intended", "open"))
    )
    if place.state == "awarded" or await work.session.scalar(paying.limit(1)) is not None:
        return
    await places.close(work, place, "withdrawn" if place.state == "queued" else "declined")
    await queue.give(work)


async def _wanted(work: UnitOfWork) -> tuple[Select[UUID, datetime, str], Select[UUID, datetime, str]]:
    """Return the renewals that could not be announced in time, and those below the price that are announced."""
    dues = (await policies.in_force(work, Dues)).document
    law = (await policies.in_force(work, Pool)).document
    unannounced = ~exists().where(RenewalNotice.term_id == Term.id, RenewalNotice.days > 0)
    # Seen to already: to look at it again, every time for a month, would hold the queue for nothing.
    kept = exists().where(
        Place.account_id == Subscription.account_id,
        Place.state == "offered",
        Place.contribution == Subscription.amount,
        Place.held_until > work.now,
    )
    return (
        _ending(work, timedelta(days=law.reserve_before_end_days), unannounced),
        _ending(work, timedelta(days=max(dues.notice_days)), Subscription.amount < Money(dues.price), ~kept),
    )


def _ending(
    work: UnitOfWork, within: timedelta, *conditions: ColumnElement[bool]
) -> Select[UUID, datetime, str]:
    """Select whose renewals meet conditions, of those whose last year ends within a time from now."""
    later = aliased(Term)
    return (
        select(Subscription.account_id, Term.ends, Subscription.id)
        .join(Term, Term.account_id == Subscription.account_id)
        .where(
            Subscription.status.not_in(subscriptions.ENDED),
            Subscription.wish == "renew",
            Subscription.purpose == "dues",
            Term.ends > work.now,
            Term.ends <= work.now + within,
            Term.ended_early_at.is_(None),
            ~exists().where(
                later.account_id == Term.account_id,
                later.ordinal > Term.ordinal,
                later.ended_early_at.is_(None),
            ),
            *conditions,
        )
    )
