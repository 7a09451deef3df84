"""Returns: what becomes of gifts that nobody takes up, that their giver wants back, or whose payment is disputed."""

from uuid import UUID

from sqlalchemy import select, update

from coop import ledger
from coop.database import changed
from coop.ledger import GIFTS_OUTSTANDING, MEMBER_CREDIT, POOL, RESERVE, LedgerAccount
from coop.sponsorship import places, queue
from coop.sponsorship.gifts import BATCH, Gift, GiftTaken, NoSuchGift
from coop.unit_of_work import UnitOfWork, Units


async def return_due(units: Units) -> int:
    """Return the gifts that nobody took up in time to the pool, and give places from them (a job)."""
    async with units.open() as work:
        await places.lock(work)
        due = await work.session.scalars(
            select(Gift).where(Gift.state == "waiting", Gift.expires_at <= work.now).limit(BATCH)
        )
        done = 0
        for gift in due.all():
            done += await _end(
                work, gift, "returned", POOL, "A gift that was not taken up returns to the pool"
            )
        if done:
            await queue.give(work)
    return done


async def take_back(work: UnitOfWork, account_id: UUID, gift_id: UUID) -> Gift:
    """End a gift that its giver wants back before anybody took it up; the caller sends the money."""
    gift = await work.session.get(Gift, gift_id, populate_existing=True)
    if gift is None or gift.account_id != account_id or gift.payment_id is None:
        raise NoSuchGift
    # The refund takes it out of their credit again, so the entry is theirs.
    giver = await ledger.references.of(work, account_id)
    if not await _end(work, gift, "taken_back", MEMBER_CREDIT, "A gift that its giver took back", giver):
        raise GiftTaken
    return gift


async def freeze(work: UnitOfWork, payment_id: UUID) -> None:
    """Let nobody begin a gift while its payment is disputed; a year that was begun runs on."""
    await _move(work, payment_id, "waiting", "frozen")


async def thaw(work: UnitOfWork, payment_id: UUID) -> None:
    """Let a gift be taken up again whose dispute was won."""
    await _move(work, payment_id, "frozen", "waiting")


async def void(work: UnitOfWork, payment_id: UUID) -> None:
    """End a gift whose dispute was lost before anybody began it: the reserve, which bears the loss, has it back."""
    gift = await work.session.scalar(
        select(Gift).where(Gift.payment_id == payment_id, Gift.state == "frozen")
    )
    if gift is not None:
        await _end(work, gift, "void", RESERVE, "A gift whose payment was lost")


async def _move(work: UnitOfWork, payment_id: UUID, before: str, after: str) -> None:
    await work.session.execute(
        update(Gift).where(Gift.payment_id == payment_id, Gift.state == before).values(state=after)
    )


async def _end(
    work: UnitOfWork, gift: Gift, state: str, to: LedgerAccount, what: str, person: UUID | None = None
) -> bool:
    if not await changed(
        work.session,
        update(Gift).where(Gift.id == gift.id, Gift.state.in_(("waiting", "frozen"))).values(state=state),
    ):
        return False
    await ledger.post(
        work,
        source="gift",
        external_id=f"{state}:{gift.id}",
        description=what,
        postings=[ledger.debit(GIFTS_OUTSTANDING, gift.amount), ledger.credit(to, gift.amount)],
        policy_version=gift.policy_version,
        person=person,
    )
    return True
