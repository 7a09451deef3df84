"""Bank transfers that somebody has announced: a reference to write on them, the amount, and until when they count.

Nothing is charged, and nothing begins before the money is seen. What is missing to the price, of a year or of all years of
a household, is kept by the pool from the announcement on, as with a payment page, and given back if the money does not come.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Update, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import policies
from coop.billing import household_dues
from coop.billing.offline import references
from coop.database import Base, changed
from coop.errors import Invalid, NotFound, Sentence
from coop.membership import obstacles, organisations
from coop.money import Money
from coop.policies import Dues, Pool, Version
from coop.sponsorship import limits, places, queue
from coop.unit_of_work import UnitOfWork, Units, new_id

LARGEST = Money(100_000_000)
"""Minor units."""
ON_ITS_WAY = timedelta(days=7)
"""What the pool keeps waits so much longer: a transfer takes days, and the statement is not read every day."""
BATCH = 100

Purpose = Literal["dues", "household", "sponsor", "gift"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


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
        CheckConstraint("purpose IN ('dues', 'household', 'sponsor', 'gift')", name="purpose"),
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

    For a household it is the amount of each year, and a gift costs its price. Who announces the same again gets the same
    reference; another amount takes the place of the first.
    """
    if not work.settings.bank_account:
        raise NoBankAccount
    dues = await policies.in_force(work, Dues)
    price = Money(dues.document.price)
    if purpose == "gift":
        amount = price
    _bounded(work, amount, Money(dues.document.minimum_card))
    if purpose in {"dues", "household"}:
        await obstacles.none_before(work, account_id)
        # The queue before any row of ours, as in a checkout.
        await places.lock(work)
    if purpose == "household":
        return await _for_household(work, account_id, amount, dues)
    if purpose == "dues":
        await limits.may_renew(work, account_id)
        await organisations.require_enough(work, account_id, amount)
    known = await current(work, account_id, purpose)
    if known is not None and known.amount == amount and known.valid_until > work.now:
        return known
    place = None
    if purpose == "dues" and amount < price:
        place = await queue.ask(work, account_id, contribution=amount)
    await superseded(work, account_id, purpose, place_id=None if place is None else place.id)
    if place is not None and place.state != "offered":
        return None
    transfer = _new(
        account_id,
        purpose,
        amount,
        price,
        dues,
        now=work.now,
        until=await _until(work, kept=place is not None),
    )
    if place is not None:
        transfer.place_id, transfer.policy_version = place.id, place.policy_version or dues.id
        await places.hold(work, place.id, transfer.valid_until + ON_ITS_WAY)
    work.session.add(transfer)
    await work.session.flush()
    return transfer


async def _for_household(work: UnitOfWork, payer_id: UUID, each: Money, dues: Version[Dues]) -> Transfer:
    people = await household_dues.payable(work, payer_id)
    if not people:
        raise household_dues.NobodyToPayFor
    amount, price = len(people) * each, Money(dues.document.price)
    known = await current(work, payer_id, "household")
    if known is not None and known.amount == amount and known.valid_until > work.now:
        written = await household_dues.of_transfer(work, known.id)
        if {year.account_id for year in written} == set(people):
            return known
    await superseded(work, payer_id, "household")
    until = await _until(work, kept=each < price)
    transfer = _new(payer_id, "household", amount, len(people) * price, dues, now=work.now, until=until)
    work.session.add(transfer)
    await work.session.flush()
    await household_dues.intend(work, people, each=each, dues=dues, transfer_id=transfer.id)
    await work.session.flush()
    return transfer


async def _until(work: UnitOfWork, *, kept: bool) -> datetime:
    """Return how long an announcement counts: not beyond the pool's offer, where it keeps a part."""
    days = work.settings.transfer_days
    if kept:
        days = min(days, (await policies.in_force(work, Pool)).document.offer_days)
    return work.now + timedelta(days=days)


def _new(
    account_id: UUID,
    purpose: Purpose,
    amount: Money,
    price: Money,
    dues: Version[Dues],
    *,
    now: datetime,
    until: datetime,
) -> Transfer:
    return Transfer(
        reference=references.make(),
        account_id=account_id,
        purpose=purpose,
        amount=amount,
        price=price,
        policy_version=dues.id,
        asked_at=now,
        valid_until=until,
    )


async def current(work: UnitOfWork, account_id: UUID, purpose: Purpose = "dues") -> Transfer | None:
    """Return the transfer that an account has announced and that still counts."""
    found: Transfer | None = await work.session.scalar(
        select(Transfer).where(
            Transfer.account_id == account_id, Transfer.purpose == purpose, Transfer.state == "open"
        )
    )
    return found


async def announced(work: UnitOfWork, account_id: UUID) -> list[Transfer]:
    """Return all transfers that an account has announced and that still count."""
    found = await work.session.scalars(
        select(Transfer).where(Transfer.account_id == account_id, Transfer.state == "open")
    )
    return sorted(found, key=lambda transfer: PURPOSES.index(transfer.purpose))


async def withdraw(work: UnitOfWork, account_id: UUID, purpose: Purpose = "dues") -> bool:
    """Take an announcement back, and with it what the pool kept; money that comes all the same is still recognised."""
    await places.lock(work)
    known = await current(work, account_id, purpose)
    return known is not None and await _end(work, known, "withdrawn")


async def superseded(
    work: UnitOfWork, account_id: UUID, purpose: Purpose = "dues", *, place_id: int | None = None
) -> None:
    """End an announcement, since its year is now to be paid otherwise; the place is kept if that relies on it."""
    known = await current(work, account_id, purpose)
    if known is None or not await changed(work.session, _ending(work, known, "withdrawn")):
        return
    if known.place_id is None or known.place_id != place_id:
        await _let_go(work, known)


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


async def take_up(work: UnitOfWork, transfer: Transfer) -> bool:
    """Mark a transfer as paid; false if it counts no more, since it has lapsed, was withdrawn or was paid before.

    The caller holds the queue, and judges money for one that counts no more by the law of today.
    """
    return await changed(work.session, _ending(work, transfer, "paid"))


async def law_of(work: UnitOfWork, transfer: Transfer | None) -> Version[Dues]:
    """Return the dues under which a transfer was announced; without one, those in force."""
    if transfer is None:
        return await policies.in_force(work, Dues)
    return await places.dues_of(work, transfer.policy_version)


def _bounded(work: UnitOfWork, amount: Money, least: Money) -> None:
    if not least <= amount <= LARGEST:
        plain = work.settings.money.plain
        raise TransferOutOfBounds(
            Sentence(
                "Write an amount between %(least)s and %(most)s.", least=plain(least), most=plain(LARGEST)
            ),
            field="amount",
        )


async def _end(work: UnitOfWork, transfer: Transfer, state: str) -> bool:
    if not await changed(work.session, _ending(work, transfer, state)):
        return False
    await _let_go(work, transfer)
    return True


async def _let_go(work: UnitOfWork, transfer: Transfer) -> None:
    """Give back what the pool kept for a transfer."""
    if transfer.place_id is not None:
        await queue.let_go(work, transfer.place_id)
    if transfer.purpose == "household":
        await household_dues.let_go(work, transfer.id)


def _ending(work: UnitOfWork, transfer: Transfer, state: str) -> Update:
    return (
        update(Transfer)
        .where(Transfer.id == transfer.id, Transfer.state == "open")
        .values(state=state, ended_at=work.now)
    )
