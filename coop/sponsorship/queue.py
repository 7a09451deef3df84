"""The queue: places in the order of asking, given while the pool lasts.

Whoever pays less than the price asks, with one button, no reason and no proof. A place is given at once when the pool
covers it and nobody waits longer; else it queues, and nobody is skipped for a smaller gap.
"""

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, func, or_, select, true

from coop import policies
from coop.clock import local_date
from coop.errors import Refused
from coop.identity.accounts import Account
from coop.membership import terms
from coop.membership.events import TermBegan
from coop.membership.obstacles import Obstacle
from coop.money import ZERO, Money
from coop.outbox import Event
from coop.policies import Dues, Pool
from coop.sponsorship import letters, limits, places, pool
from coop.sponsorship.limits import AlreadyMember
from coop.sponsorship.places import Place
from coop.sponsorship.pool import PoolEmpty, Reservation
from coop.unit_of_work import UnitOfWork, Units

BATCH = 50
"""How many places one unit of work gives at most; the job comes back for the rest."""


async def ask(work: UnitOfWork, account_id: UUID, *, contribution: Money = ZERO) -> Place:
    """Ask for a place, or change what one would pay oneself; it may be given before this returns.

    Nobody loses their turn by finding that they can give more, or less.
    """
    price = Money((await policies.in_force(work, Dues)).document.price)
    if contribution < ZERO or contribution >= price:
        raise Refused("A place is for those who pay less than the price.")
    first = await terms.latest(work, account_id) is None
    await limits.may_ask(work, account_id, first=first)
    await places.lock(work)
    place = await places.open_place(work, account_id)
    if place is not None and place.lapsed(work.now):
        await places.close(work, place, "lapsed")
        place = None
    if place is None:
        place = Place(account_id=account_id, asked_at=work.now, contribution=contribution, first=first)
        work.session.add(place)
        await work.session.flush()
        # An offer to whoever stands before us lasts as long as their checkout.
        await give(work, asking=place.id, until=work.now)
    elif place.contribution == contribution or place.credited or place.state == "awarded":
        return place
    elif place.state == "queued":
        place.contribution = contribution
        await work.session.flush()
        await give(work)
    else:
        place = await _again(work, place, contribution)
    await work.session.refresh(place)
    return place


async def _again(work: UnitOfWork, offer: Place, contribution: Money) -> Place:
    """Put an offer whose member would rather pay another part back to where it stood, for as long as it stood."""
    await places.close(work, offer, "replaced")
    place = Place(
        account_id=offer.account_id, asked_at=offer.asked_at, contribution=contribution, first=offer.first
    )
    work.session.add(place)
    await work.session.flush()
    at_once = offer.due_at == offer.awarded_at
    await give(work, asking=place.id, until=work.now if at_once else offer.due_at)
    return place


async def credit(work: UnitOfWork, account_id: UUID, contribution: Money, *, payment_id: UUID) -> bool:
    """Put somebody whose money arrived without a live reservation at the head of the queue.

    False if money of theirs waits there already: this is more than they wanted to pay.
    """
    await places.lock(work)
    place = await places.open_place(work, account_id)
    if place is not None and place.credited:
        return False
    if place is not None and place.state in {"offered", "awarded"}:
        await places.close(work, place, "replaced")
        place = None
    if place is None:
        first = await terms.latest(work, account_id) is None
        place = Place(account_id=account_id, asked_at=work.now, contribution=contribution, first=first)
        work.session.add(place)
    place.contribution = contribution
    place.credited = True
    place.payment_id = payment_id
    await work.session.flush()
    await give(work)
    return True


async def give(work: UnitOfWork, *, asking: int | None = None, until: datetime | None = None) -> int:
    """Give places in the order of asking while the pool lasts; return how many.

    `asking` is the place of whoever asks at this moment: an offer to them stands until `until`.
    """
    await places.lock(work)
    dues = await policies.in_force(work, Dues)
    law = (await policies.in_force(work, Pool)).document
    left = law.max_new_places_month - await first_places_this_month(work)
    queue = await work.session.scalars(
        select(Place)
        # Whoever has something to settle first keeps their place in the line, and holds up nobody.
        .where(Place.state == "queued", ~exists().where(Obstacle.account_id == Place.account_id))
        .order_by(Place.credited.desc(), Place.asked_at, Place.id)
        # With the month's first places given out, those who were members before still have their turn.
        .where(true() if left > 0 else Place.first.is_(False))
        .limit(BATCH)
    )
    given = 0
    for place in queue.all():
        if place.first and left <= 0:
            continue
        gap = Money(dues.document.price) - place.contribution
        if gap <= ZERO:
            await _price_fell(work, place, Money(dues.document.price))
            continue
        try:
            await pool.reserve(work, gap, key=place.key)
        except PoolEmpty:
            break
        place.awarded_at = work.now
        place.policy_version = dues.id
        left -= place.first
        given += 1
        if place.contribution and not place.credited:
            place.state = "offered"
            if place.id == asking:
                place.due_at = until
            else:
                place.due_at = work.now + timedelta(days=law.offer_days)
                await _tell_of_offer(work, place)
        else:
            place.state = "awarded"
            place.due_at = work.now + _delay(work)
        await work.session.flush()
        if place.state == "awarded" and place.due_at is not None and place.due_at <= work.now:
            await places.begin(work, place)
    return given


async def let_go(work: UnitOfWork, place_id: int) -> None:
    """Note that the checkout on an offer has ended unpaid; an offer from the queue stands until its day."""
    place = await work.session.get_one(Place, place_id, populate_existing=True)
    place.held_until = None
    await work.session.flush()
    if place.lapsed(work.now) and await _lapse(work, place):
        await give(work)


async def withdraw(work: UnitOfWork, account_id: UUID) -> bool:
    """Take a request back, or give an offer back; the pool's part goes to the next.

    False if there is none, or if a checkout is open on it. Money that waits with a request goes back to its owner
    (`coop.billing.credit`).
    """
    await places.lock(work)
    place = await places.open_place(work, account_id)
    if place is None or (place.held_until is not None and place.held_until > work.now):
        return False
    await places.close(work, place, "withdrawn" if place.state == "queued" else "declined")
    await give(work)
    return True


async def leave_once_a_member(work: UnitOfWork, event: Event) -> None:
    """Close the request of whoever has got a year in another way: paid in full, as a gift, by bank transfer."""
    if not isinstance(event, TermBegan):
        return
    if await places.open_place(work, event.account_id) is None:
        return
    await places.lock(work)
    place = await places.open_place(work, event.account_id)
    try:
        # News may be late: what they ask for now may be the year after.
        await limits.may_renew(work, event.account_id)
    except AlreadyMember:
        if place is not None and await places.close(work, place, "needless"):
            await give(work)


handlers: dict[type[Event], Callable[[UnitOfWork, Event], Awaitable[None]]] = {
    TermBegan: leave_once_a_member,
}


async def begin_due(units: Units) -> int:
    """Begin the places whose moment has come (an errand: at the random second itself, not at a job's regular one)."""
    async with units.read() as work:
        # Most rounds find nothing; looking first keeps SQLite's one writer free.
        if await work.session.scalar(select(Place.id).where(_DUE, Place.due_at <= work.now).limit(1)) is None:
            return 0
    async with units.open() as work:
        await places.lock(work)
        due = await work.session.scalars(
            select(Place).where(_DUE, Place.due_at <= work.now).order_by(Place.due_at).limit(BATCH)
        )
        return sum([await places.begin(work, place) for place in due.all()])


async def grant_due(units: Units) -> int:
    """Let offers lapse, and give what the pool now covers (a job)."""
    async with units.open() as work:
        await places.lock(work)
        offers = await work.session.scalars(
            select(Place).where(
                Place.state == "offered",
                Place.due_at <= work.now,
                or_(Place.held_until.is_(None), Place.held_until <= work.now),
            )
        )
        done = 0
        for place in offers.all():
            done += await _lapse(work, place)
        return done + await give(work)


async def first_places_this_month(work: UnitOfWork) -> int:
    """Return how many first places were given since the month began, in the co-op's time zone."""
    local = work.now.astimezone(work.settings.zone)
    start = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    given = select(func.count()).where(
        Place.first.is_(True), Place.awarded_at >= start, Place.state != "closed"
    )
    together = select(func.sum(Reservation.first_places)).where(
        Reservation.made_at >= start, Reservation.state != "released"
    )
    return (await work.session.scalar(given) or 0) + int(await work.session.scalar(together) or 0)


async def _lapse(work: UnitOfWork, place: Place) -> bool:
    asked = place.due_at != place.awarded_at
    if not await places.close(work, place, "lapsed"):
        return False
    if asked:
        account = await work.session.get_one(Account, place.account_id)
        letters.post(work, account, letters.LAPSED, key=f"place-lapsed:{place.id}")
    return True


async def _price_fell(work: UnitOfWork, place: Place, price: Money) -> None:
    """Tell whoever wants to pay the whole of a price that has fallen that they need not wait."""
    await places.close(work, place, "needless")
    account = await work.session.get_one(Account, place.account_id)
    letters.post(work, account, letters.PRICE_FELL, key=f"place-price:{place.id}", amount=price)


async def _tell_of_offer(work: UnitOfWork, place: Place) -> None:
    account = await work.session.get_one(Account, place.account_id)
    day = None if place.due_at is None else local_date(place.due_at, work.settings.zone)
    letters.post(
        work, account, letters.OFFERED, key=f"place-offer:{place.id}", day=day, amount=place.contribution
    )


def _delay(work: UnitOfWork) -> timedelta:
    """Return a random wait, so that nobody can match a gift to the membership that it began."""
    longest = timedelta(hours=work.settings.sponsorship_delay_hours)
    return timedelta(milliseconds=secrets.randbelow(longest // timedelta(milliseconds=1) + 1))


_DUE = Place.state == "awarded"
