"""Bank transfers that somebody has announced: a reference to write on them, the amount, and until when they count.

Nothing is charged, and nothing begins before the money is seen. What is missing to the price is kept by the pool from
the announcement on, as with a payment page, and given back if the money does not come.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Update, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import policies
from coop.billing.offline import references
from coop.database import Base, changed
from coop.errors import Invalid, NotFound
from coop.membership import obstacles, organisations
from coop.money import Money
from coop.policies import Dues, Pool, Version
from coop.sponsorship import limits, places, queue
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units, new_id

LARGEST = Money(100_000_000)
"""Minor units."""
ON_ITS_WAY = timedelta(days=7)
"""What the pool keeps waits so much longer: a transfer takes days, and the statement is not read every day."""
BATCH = 100

Purpose = Literal["dues", "sponsor"]


class NoBankAccount(NotFound):
    """This cooperative takes no bank transfers; pay by card, or write to the treasurer."""

    code = "no_bank_account"


class TransferOutOfBounds(Invalid):
    """That amount is too small or too large for a transfer."""

    code = "transfer_out_of_bounds"


class NoSuchTransfer(NotFound):
    """There is no such transfer of yours."""

    code = "no_such_transfer"


class Transfer(Base):
    """A bank transfer that was announced under a reference of its own."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint("purpose IN ('dues', 'sponsor')", name="purpose"),
        CheckConstraint("state IN ('open', 'paid', 'withdrawn', 'expired')", name="state"),
        Index(
            "one_open_transfer",
            "account_id",
            "purpose",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_transfers_open", "state", "valid_until"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    reference: Mapped[str] = mapped_column(String(25), unique=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    purpose: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Money]
    price: Mapped[Money]
    policy_version: Mapped[UUID] = mapped_column(ForeignKey("policy_versions.id"))
    asked_at: Mapped[datetime]
    valid_until: Mapped[datetime]
    place_id: Mapped[int | None] = mapped_column(ForeignKey("places.id"), default=None)
    """The place whose reservation covers the gap."""
    state: Mapped[str] = mapped_column(String(10), default="open")
    ended_at: Mapped[datetime | None] = mapped_column(default=None)


async def announce(
    work: UnitOfWork, account_id: UUID, amount: Money, *, purpose: Purpose = "dues"
) -> Transfer | None:
    """Give a reference for `amount`, or nothing if the pool has no part to give and the person queues instead.

    Who announces the same again gets the same reference; another amount takes the place of the first.
    """
    if not work.settings.bank_account:
        raise NoBankAccount
    dues = await policies.in_force(work, Dues)
    least = Money(dues.document.minimum_card)
    if not least <= amount <= LARGEST:
        plain = work.settings.money.plain
        raise TransferOutOfBounds(
            f"Write an amount between {plain(least)} and {plain(LARGEST)}.", field="amount"
        )
    if purpose == "dues":
        await limits.may_renew(work, account_id)
        await obstacles.none_before(work, account_id)
        await organisations.require_enough(work, account_id, amount)
        # The queue before any row of ours, as in a checkout.
        await places.lock(work)
    known = await current(work, account_id, purpose)
    if known is not None and known.amount == amount and known.valid_until > work.now:
        return known
    place, until = None, work.now + timedelta(days=work.settings.transfer_days)
    if purpose == "dues":
        place = await _gap(work, account_id, amount, Money(dues.document.price))
    await superseded(work, account_id, purpose, place_id=None if place is None else place.id)
    if place is not None and place.state != "offered":
        return None
    if place is not None:
        stands = (await policies.in_force(work, Pool)).document.offer_days
        until = min(until, work.now + timedelta(days=stands))
        await places.hold(work, place.id, until + ON_ITS_WAY)
    transfer = Transfer(
        reference=references.make(),
        account_id=account_id,
        purpose=purpose,
        amount=amount,
        price=Money(dues.document.price),
        policy_version=place.policy_version if place and place.policy_version else dues.id,
        asked_at=work.now,
        valid_until=until,
        place_id=None if place is None else place.id,
    )
    work.session.add(transfer)
    await work.session.flush()
    return transfer


async def current(work: UnitOfWork, account_id: UUID, purpose: Purpose = "dues") -> Transfer | None:
    """Return the transfer that an account has announced and that still counts."""
    found: Transfer | None = await work.session.scalar(
        select(Transfer).where(
            Transfer.account_id == account_id, Transfer.purpose == purpose, Transfer.state == "open"
        )
    )
    return found


async def withdraw(work: UnitOfWork, account_id: UUID, purpose: Purpose = "dues") -> bool:
    """Take an announcement back, and with it what the pool kept; money that comes all the same is still recognised."""
    if purpose == "dues":
        await places.lock(work)
    known = await current(work, account_id, purpose)
    return known is not None and await _end(work, known, "withdrawn")


async def superseded(
    work: UnitOfWork, account_id: UUID, purpose: Purpose = "dues", *, place_id: int | None
) -> None:
    """End an announcement, since its year is now to be paid otherwise; the place is kept if that relies on it."""
    known = await current(work, account_id, purpose)
    if known is None or not await changed(work.session, _ending(work, known, "withdrawn")):
        return
    if known.place_id is not None and known.place_id != place_id:
        await queue.let_go(work, known.place_id)


async def expire_due(units: Units) -> int:
    """Let announcements lapse whose money has not come, and give back what the pool kept for them (a job)."""
    async with units.read() as look:
        due = list(
            await look.session.scalars(
                select(Transfer)
                .where(Transfer.state == "open", Transfer.valid_until <= look.now - ON_ITS_WAY)
                .order_by(Transfer.valid_until)
                .limit(BATCH)
            )
        )
    done = 0
    for transfer in due:
        async with units.open() as work:
            await places.lock(work)
            done += await _end(work, transfer, "expired")
    return done


async def by_references(work: UnitOfWork, wanted: Iterable[str]) -> dict[str, Transfer]:
    """Return the transfers behind references, whatever became of them."""
    found: dict[str, Transfer] = {}
    asked = sorted(set(wanted))
    for start in range(0, len(asked), 500):
        rows = await work.session.scalars(
            select(Transfer).where(Transfer.reference.in_(asked[start : start + 500]))
        )
        found.update({transfer.reference: transfer for transfer in rows})
    return found


async def take_up(work: UnitOfWork, transfer: Transfer) -> tuple[Version[Dues], int | None]:
    """Mark a transfer as paid; return the dues that it was announced under and its place, if it still counts.

    The caller holds the queue. Money for one that has lapsed, was withdrawn or was paid before is judged by the law of
    today.
    """
    if await changed(work.session, _ending(work, transfer, "paid")):
        return await places.dues_of(work, transfer.policy_version), transfer.place_id
    return await policies.in_force(work, Dues), None


async def _gap(work: UnitOfWork, account_id: UUID, amount: Money, price: Money) -> Place | None:
    if amount >= price:
        return None
    return await queue.ask(work, account_id, contribution=amount)


async def _end(work: UnitOfWork, transfer: Transfer, state: str) -> bool:
    if not await changed(work.session, _ending(work, transfer, state)):
        return False
    if transfer.place_id is not None:
        await queue.let_go(work, transfer.place_id)
    return True


def _ending(work: UnitOfWork, transfer: Transfer, state: str) -> Update:
    return (
        update(Transfer)
        .where(Transfer.id == transfer.id, Transfer.state == "open")
        .values(state=state, ended_at=work.now)
    )
