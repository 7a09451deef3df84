"""The queue: places in the order of asking, given while the pool lasts.

Whoever pays less than the price asks, with one button, no reason and no proof. A place is given at once when the pool
covers it and nobody waits longer; else it queues, and nobody is skipped for a smaller gap.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import Select, exists, func, select, true

from coop import bulk, ledger, policies, sealing
from coop.clock import local_date
from coop.errors import Refused
from coop.identity.accounts import Account
from coop.ledger import POOL
from coop.membership.events import TermBegan
from coop.membership.obstacles import Obstacle
from coop.money import ZERO, Money
from coop.outbox import Event
from coop.policies import Dues, Pool
from coop.sponsorship import letters, limits, place_batches, places, pool, turns
from coop.sponsorship.letters import Addressed
from coop.sponsorship.limits import AddressUsed, AlreadyMember
from coop.sponsorship.place_batches import Candidate
from coop.sponsorship.places import Place
from coop.sponsorship.pool import Reservation
from coop.unit_of_work import UnitOfWork

BATCH = 50
"""How many places one turn gives at most, while somebody waits for an answer; the job gives the rest."""


async def ask(work: UnitOfWork, account_id: UUID, *, contribution: Money = ZERO) -> Place:
    """Ask for a place, or change what one would pay oneself; it may be given before this returns.

    Nobody loses their turn by finding that they can give more, or less.
    """
    price = Money((await policies.in_force(work, Dues)).document.price)
    if contribution < ZERO or contribution >= price:
        raise Refused("A place is for those who pay less than the price.")
    # What follows is judged while nobody else can make it untrue: that the account is a person's, say.
    await places.lock(work)
    first = await limits.newcomer(work, account_id)
    await limits.may_ask(work, account_id, first=first)
    place = await places.open_place(work, account_id)
    if place is not None and place.lapsed(work.now):
        await places.close(work, place, "lapsed")
        place = None
    if place is None:
        place = Place(
            account_id=account_id,
            asked_at=work.now,
            contribution=contribution,
            first=first,
            address=await _address(work, account_id) if first else None,
        )
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
        account_id=offer.account_id,
        asked_at=offer.asked_at,
        contribution=contribution,
        first=offer.first,
        address=offer.address,
    )
    work.session.add(place)
    await work.session.flush()
    at_once = offer.due_at == offer.awarded_at
    await give(work, asking=place.id, until=work.now if at_once else offer.due_at)
    return place


async def _address(work: UnitOfWork, account_id: UUID) -> bytes | None:
    """Return the digest of the address that a first place is asked for with, or refuse one that serves another account.

    An address belongs to one account at a time; that alone would let one mailbox confirm a hundred, one after another.
    """
    if not (await policies.in_force(work, Pool)).document.verified_email:
        return None
    account = await work.session.get_one(Account, account_id)
    key = sealing.key_for(work.settings, "address of a first place")
    digest = hmac.digest(key, (account.email or "").lower().encode(), "sha256")
    taken = (
        select(Place.id)
        .where(Place.address == digest, Place.account_id != account_id, Place.state != "closed")
        .limit(1)
    )
    if await work.session.scalar(taken) is not None:
        raise AddressUsed
    return digest


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
        first = await limits.newcomer(work, account_id)
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
    given = 0
    while True:
        this = await turn(work, asking=asking, until=until)
        given += this.given
        # What was kept for a year that turned out to be needless is the next one's.
        if not this.freed:
            return given


@dataclass(frozen=True, slots=True)
class Turned:
    """What one turn along the line did."""

    given: int
    needless: int
    """Requests that a lower price has made so."""
    freed: Money = ZERO
    """What came back to the pool since a year was had otherwise."""

    @property
    def done(self) -> int:
        """How many places it dealt with."""
        return self.given + self.needless


async def turn(
    work: UnitOfWork,
    *,
    asking: int | None = None,
    until: datetime | None = None,
    most: int = BATCH,
    at_once: bool = True,
) -> Turned:
    """Go along the line once; years whose moment has come begin `at_once`, unless the caller sees to them."""
    await places.lock(work)
    dues = await policies.in_force(work, Dues)
    price = Money(dues.document.price)
    law = (await policies.in_force(work, Pool)).document
    left = law.max_new_places_month - await first_places_this_month(work)
    line = await _line(work, firsts=left > 0, most=most)
    found = turns.take(line, price=price, free=await ledger.hold(work, POOL), firsts=left)
    if found.needless:
        await _price_fell(work, found.needless, price)
    awards = [
        _award(
            work,
            msgspec.structs.replace(place, policy_version=dues.id),
            place.id == asking,
            until,
            law.offer_days,
        )
        for place in found.given
    ]
    freed = ZERO
    if awards:
        await _reserve(work, awards, price)
        due = [one.place for one in awards if one.state == "awarded" and one.due_at <= work.now]
        if due and at_once:
            _, freed = await place_batches.begin(work, due)
    return Turned(len(awards), len(found.needless), freed)


def waiting() -> Select[int, UUID, Money, bool, bool, UUID | None, UUID | None, str | None, str]:
    """Select those who wait for a place and may have one."""
    return place_batches.candidates().where(
        # Whoever has something to settle first keeps their place in the line, and holds up nobody.
        Place.state == "queued",
        ~exists().where(Obstacle.account_id == Place.account_id),
    )


async def _line(work: UnitOfWork, *, firsts: bool, most: int) -> list[Candidate]:
    """Return who is next, as many as one turn takes: by the order of an index, since the line may be long."""
    found: list[Candidate] = []
    # Those whose money came without a live reservation stand before all others.
    for credited in (Place.credited, ~Place.credited):
        rows = await bulk.read(
            work.session,
            waiting()
            .where(credited)
            # With the month's first places given out, those who were members before still have their turn.
            .where(true() if firsts else Place.first.is_(False))
            .order_by(Place.asked_at, Place.id)
            .limit(most - len(found)),
        )
        found += [Candidate(*row) for row in rows]
    return found


class _Award(msgspec.Struct, frozen=True):
    """What becomes of a place that the pool covers."""

    place: Candidate
    state: Literal["offered", "awarded"]
    due_at: datetime
    told: bool


def _award(
    work: UnitOfWork,
    place: Candidate,
    awaited: bool,  # noqa: FBT001 - whether its owner asks at this moment
    until: datetime | None,
    days: int,
) -> _Award:
    if not place.contribution or place.credited:
        return _Award(place, "awarded", work.now + _delay(work), told=False)
    if awaited and until is not None:
        return _Award(place, "offered", until, told=False)
    return _Award(place, "offered", work.now + timedelta(days=days), told=True)


async def _reserve(work: UnitOfWork, awards: Sequence[_Award], price: Money) -> None:
    await pool.reserve_all(work, [(one.place.key, price - one.place.contribution) for one in awards])
    awarded = await bulk.update(
        work.session,
        Place,
        "id",
        ("state", "awarded_at", "policy_version", "due_at"),
        [(one.place.id, one.state, work.now, one.place.policy_version, one.due_at) for one in awards],
        where={"state": "queued"},
    )
    if awarded != len(awards):
        # Whoever changes a place holds the queue, as we do.
        msg = f"{len(awards) - awarded} of {len(awards)} places were not queued any more"
        raise LookupError(msg)
    await letters.post_all(
        work,
        letters.OFFERED,
        [
            Addressed(
                one.place.email,
                one.place.locale,
                f"place-offer:{one.place.id}",
                day=local_date(one.due_at, work.settings.zone),
                amount=one.place.contribution,
            )
            for one in awards
            if one.told
        ],
    )


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


async def first_places_this_month(work: UnitOfWork) -> int:
    """Return to how many people first places were given since the month began, in the co-op's time zone."""
    local = work.now.astimezone(work.settings.zone)
    start = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    # Whoever gives one back and asks again takes nobody else's turn.
    given = select(func.count(Place.account_id.distinct())).where(
        Place.first, Place.awarded_at >= start, Place.state != "closed"
    )
    together = select(func.sum(Reservation.first_places)).where(
        # As its index says: most reservations are for no household.
        Reservation.first_places > 0,
        Reservation.made_at >= start,
        Reservation.state != "released",
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


async def _price_fell(work: UnitOfWork, needless: Sequence[Candidate], price: Money) -> None:
    """Tell those who want to pay the whole of a price that has fallen that they need not wait."""
    await place_batches.close(work, needless, "needless")
    await letters.post_all(
        work,
        letters.PRICE_FELL,
        [Addressed(place.email, place.locale, f"place-price:{place.id}", amount=price) for place in needless],
    )


def _delay(work: UnitOfWork) -> timedelta:
    """Return a random wait, so that nobody can match a gift to the membership that it began."""
    longest = timedelta(hours=work.settings.sponsorship_delay_hours)
    return timedelta(milliseconds=secrets.randbelow(longest // timedelta(milliseconds=1) + 1))
