"""What must hold of whoever was erased, once all is quiet: nothing charges them, nothing of theirs is kept, nothing leads to them."""

from uuid import UUID

from sqlalchemy import select

from coop import ledger
from coop.billing.cards import CardVisit, Customer
from coop.billing.offline.transfers import Transfer
from coop.billing.operations import Operation
from coop.billing.subscriptions import ENDED, Subscription
from coop.database import Base
from coop.identity.accounts import Account
from coop.leaving import erasures
from coop.leaving.erasures import Erasure
from coop.ledger import references
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.ledger.references import PersonReference
from coop.membership import entitlements
from coop.sponsorship.gifts import Gift
from coop.sponsorship.places import OPEN, Place
from coop.unit_of_work import UnitOfWork
from tests.soak.world import World

FORGOTTEN: tuple[type[Base], ...] = (Customer, CardVisit, Operation, PersonReference)
"""Rows that lead from the processor, or from the books, to a person."""


async def gone(world: World, work: UnitOfWork) -> list[str]:
    """Return what is wrong with those who were erased, or were to be by now."""
    late = await work.session.scalars(
        select(Erasure).where(Erasure.state.in_(("asked", "closing")), Erasure.due_at <= work.now)
    )
    wrong = [f"the erasure of {one.account_id} was due at {one.due_at}, and is {one.state}" for one in late]
    own = await erased(work)
    told = await entitlements.of_many(work, list(own))
    for account_id in own:
        if told[account_id].membership != "none":
            wrong.append(f"{account_id} is erased, and a member")
        wrong += [f"of {account_id}, who is erased, {what}" for what in await _left(work, account_id)]
    return [*wrong, *await _at_the_processor(world, own)]


async def erased(work: UnitOfWork) -> set[UUID]:
    """Return who was erased: of them networks are told nothing any more, though their years run on."""
    return set(await work.session.scalars(select(Account.id).where(Account.erased_at.is_not(None))))


async def _left(work: UnitOfWork, own: UUID) -> list[str]:
    left = []
    known = await erasures.of(work, own)
    state = None if known is None else known.state
    owed = await _owed(work, own)
    if state != "done" and not owed:
        left.append(f"the erasure is {state}, and nothing is owed")
    if state == "done":
        for rows in FORGOTTEN:
            found = await work.session.scalars(select(rows).where(rows.account_id == own))  # type: ignore[attr-defined]
            left += [f"{row} is left" for row in found]
    charging = select(Subscription.id).where(
        Subscription.account_id == own, Subscription.status.not_in(ENDED)
    )
    left += [f"{name} still charges" for name in await work.session.scalars(charging)]
    # A bank debit takes days after its page is complete; the pool's part is kept so long.
    paying = Place.held_until.is_not(None) & (Place.held_until > work.now)
    waiting = select(Place.id).where(Place.account_id == own, Place.state.in_(OPEN), ~paying)
    left += [f"place {number} waits" for number in await work.session.scalars(waiting)]
    kept = select(Gift.id).where(Gift.kept_for == own)
    left += [f"gift {number} is kept for the next year" for number in await work.session.scalars(kept)]
    announced = select(Transfer.id).where(Transfer.account_id == own, Transfer.state == "open")
    left += [f"transfer {number} is awaited" for number in await work.session.scalars(announced)]
    return left


async def _owed(work: UnitOfWork, account_id: UUID) -> bool:
    """Tell whether money lies with us as theirs, under either name that the books may know them by."""
    names = {
        references.nobody(work.settings, account_id),
        await references.find(work, account_id),
    }
    for name in names - {None}:
        lies = await work.session.scalars(
            select(EntryPosting.amount)
            .join(JournalEntry, JournalEntry.id == EntryPosting.entry_id)
            .where(EntryPosting.account == ledger.MEMBER_CREDIT, JournalEntry.person == name)
        )
        if sum(amount.minor for amount in lies):
            return True
    return False


async def _at_the_processor(world: World, own: set[UUID]) -> list[str]:
    addresses = {world.addresses[account_id] for account_id in own}
    return [
        f"the processor keeps {one['id']}, who is {one['email']} and was erased"
        for one in await world.known("customer")
        # Everybody here has an address; a page that was opened for nobody was opened for somebody who is gone.
        if not one.get("deleted") and (one["email"] is None or one["email"] in addresses)
    ]
