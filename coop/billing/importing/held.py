"""Imported memberships: paid for elsewhere until a day, and kept for whoever confirms the address that they were under.

Their owners have no account here yet, perhaps never will. So no address is kept, only a keyed digest that answers one
question: is this verified address the one?
"""

import datetime as dt
import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    select,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger, policies, sealing
from coop.billing.lists import Movement
from coop.billing.subscriptions import Subscription
from coop.clock import anniversary, local_date, midnight, month_anniversary
from coop.database import Base, changed, insert_once
from coop.identity.accounts import Account
from coop.identity.verification import EmailVerified
from coop.ledger import DEFERRED_DUES, FEES, MEMBER_CREDIT, POOL, RESERVE, STRIPE, chart, credit, debit
from coop.membership import terms, vat
from coop.money import Money, vat_within
from coop.networks import settlement
from coop.networks.settlement import MONTHS, Recognition
from coop.outbox import Event
from coop.policies import Dues, Shares
from coop.settings import Settings
from coop.sponsorship import places
from coop.unit_of_work import UnitOfWork, Units, new_id

BATCH = 100

Became = Literal["member", "credit"]


class ImportedMembership(Base):
    """A year that another tool was paid for, and what of it the cooperative still owes."""

    __tablename__ = "imported_memberships"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        CheckConstraint("state IN ('waiting', 'claimed', 'credited', 'expired')", name="state"),
        CheckConstraint("(state IN ('claimed', 'credited')) = (account_id IS NOT NULL)", name="owner"),
        CheckConstraint("(state = 'claimed') = (term_id IS NOT NULL)", name="term"),
        # Once the question is answered, or no longer put, nothing of the address is kept.
        CheckConstraint("(state = 'waiting') = (email_digest IS NOT NULL)", name="address"),
        CheckConstraint("months BETWEEN 0 AND 12 AND owed >= 0 AND owed <= price", name="bounded"),
        Index("ix_imported_memberships_email_digest", "email_digest"),
        Index("ix_imported_memberships_waiting", "state", "paid_until"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    source: Mapped[str] = mapped_column(String(20))
    external_id: Mapped[str] = mapped_column(String(200))
    email_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), repr=False)
    paid_until: Mapped[dt.date] = mapped_column(Date)
    first_day: Mapped[dt.date] = mapped_column(Date)
    """The day from which its years count."""
    year: Mapped[int]
    """The how-manieth of them runs."""
    months: Mapped[int]
    """How many of its months had passed when it came here: they are no business of these books."""
    price: Mapped[Money]
    owed: Mapped[Money]
    """The dues of the months that were left, without the VAT in them."""
    vat_rate: Mapped[int] = mapped_column(SmallInteger)
    """The VAT that the price contains, in basis points."""
    policy_version: Mapped[UUID] = mapped_column(ForeignKey("policy_versions.id"))
    imported_at: Mapped[datetime]
    subscription: Mapped[str | None] = mapped_column(String(255), unique=True, default=None)
    amount: Mapped[Money | None] = mapped_column(default=None)
    stops: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"), index=True, default=None)
    term_id: Mapped[UUID | None] = mapped_column(ForeignKey("terms.id"), unique=True, default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)


def digest_of(settings: Settings, address: str) -> bytes:
    """Return the keyed digest of a checked address."""
    return hmac.digest(sealing.key_for(settings, "imported membership"), address.encode(), "sha256")


def years(paid_until: dt.date, since: dt.date | None) -> tuple[dt.date, int]:
    """Return the first day and the number of the year that ends with `paid_until`, as terms count (never by chaining).

    It counts from the first day of all where that fits; a year never ends before what was paid for.
    """
    if since is not None and since < paid_until:
        number = paid_until.year - since.year
        if number and anniversary(since, number) == paid_until:
            return since, number
    first = anniversary(paid_until, -1)
    if anniversary(first, 1) < paid_until:
        first += dt.timedelta(days=1)
    return first, 1


def passed(first_day: dt.date, year: int, now: datetime, settings: Settings) -> int:
    """Return how many months of that year have passed."""
    before = (year - 1) * MONTHS
    months = 0
    while (
        months < MONTHS and midnight(month_anniversary(first_day, before + months + 1), settings.zone) <= now
    ):
        months += 1
    return months


async def claim(work: UnitOfWork, account: Account) -> Became | None:
    """Give an account with a verified address the membership that waits for it: the one that lasts longest."""
    if account.email is None or account.email_verified_at is None:
        return None
    row = await work.session.scalar(
        select(ImportedMembership)
        .where(ImportedMembership.email_digest == digest_of(work.settings, account.email))
        .order_by(ImportedMembership.paid_until.desc(), ImportedMembership.id)
        .limit(1)
    )
    return None if row is None else await give(work, row, account)


async def give(work: UnitOfWork, row: ImportedMembership, account: Account) -> Became | None:
    """Begin the rest of an imported year, once; beside a year that was paid here, its dues become credit instead."""
    latest = await terms.latest(work, account.id)
    beside = latest is not None and latest.last_instant > work.now
    if not await changed(
        work.session,
        update(ImportedMembership)
        .where(ImportedMembership.id == row.id, ImportedMembership.state == "waiting")
        # The flags that need the term are set with it, below, in one statement each.
        .values(email_digest=None, state="credited", account_id=account.id, ended_at=work.now),
    ):
        return None
    await _renew_no_more_than(work, row, account, stop=beside)
    if beside:
        await _credit(work, row, account)
        return "credit"
    term = await terms.take_over(
        work,
        account.id,
        first_day=row.first_day,
        year=row.year,
        dues=await places.dues_of(work, row.policy_version),
        vat_rate=row.vat_rate,
    )
    await work.session.execute(
        update(ImportedMembership)
        .where(ImportedMembership.id == row.id)
        .values(state="claimed", term_id=term.id)
    )
    over = row.months == MONTHS
    work.session.add(
        Recognition(
            term_id=term.id,
            months=row.months,
            next_at=None if over else settlement.month_end(term, row.months + 1, work),
        )
    )
    await work.session.flush()
    return "member"


async def on_verified(work: UnitOfWork, event: Event) -> None:
    """Look for what waits for an address that was just verified (carried out by the worker)."""
    if isinstance(event, EmailVerified):
        account = await work.session.get(Account, event.account_id)
        if account is not None and account.erased_at is None:
            await claim(work, account)


handlers: dict[type[Event], Callable[[UnitOfWork, Event], Awaitable[None]]] = {EmailVerified: on_verified}


async def expire_due(units: Units) -> int:
    """Let go of memberships that ended without their owners: their months have passed, and are earned (a job)."""
    done = 0
    while True:
        async with units.open() as work:
            grace = (await policies.in_force(work, Dues)).document.grace_days
            today = local_date(work.now, work.settings.zone)
            rows = await work.session.scalars(
                select(ImportedMembership)
                .where(
                    ImportedMembership.state == "waiting",
                    ImportedMembership.paid_until <= today - dt.timedelta(days=grace),
                )
                .order_by(ImportedMembership.paid_until)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            due = list(rows)
            for row in due:
                await _expire(work, row)
        done += len(due)
        if not due:
            return done


async def renewed(work: UnitOfWork, subscription: str, movement: Movement) -> bool:
    """Book the charge of a renewal that was taken over before its owner came: another year waits for them.

    What is less than the price would need the pool's part, which nobody can ask for in somebody's absence: it stays a
    difference.
    """
    row = await work.session.scalar(
        select(ImportedMembership).where(
            ImportedMembership.subscription == subscription, ImportedMembership.state == "waiting"
        )
    )
    dues = await policies.in_force(work, Dues)
    price = Money(dues.document.price)
    # What was charged before the import was the other tool's business.
    if row is None or movement.created <= row.imported_at or movement.amount < price:
        return False
    surplus = movement.amount - price
    vat_rate = work.settings.vat_rate(local_date(work.now, work.settings.zone))
    tax = vat_within(price, vat_rate)
    if surplus:
        await places.lock(work)
    shares = await policies.in_force(work, Shares)
    # The charge comes with the end of the old year, whose months are earned.
    old = settlement.divide(row.owed, shares.document, (), salt=movement.id) if row.owed else []
    if not await changed(
        work.session,
        update(ImportedMembership)
        .where(ImportedMembership.id == row.id, ImportedMembership.year == row.year)
        .values(
            year=row.year + 1,
            paid_until=anniversary(row.first_day, row.year + 1),
            months=0,
            price=price,
            owed=price - tax,
            vat_rate=vat_rate,
            policy_version=dues.id,
        ),
    ):
        return False
    await ledger.post(
        work,
        source="stripe",
        external_id=movement.id,
        description="A renewal that was taken over, for somebody who has not come yet",
        postings=[
            debit(STRIPE, movement.net),
            debit(FEES, movement.fee),
            credit(DEFERRED_DUES, price),
            credit(POOL, surplus),
            *old,
        ],
        policy_version=dues.id,
    )
    await vat.arise(
        work,
        [vat.Part(None, None, vat_rate, price, tax)],
        key=f"imported:{row.id}:{movement.id}",
        policy_version=dues.id,
        person=None,
    )
    return True


async def _expire(work: UnitOfWork, row: ImportedMembership) -> None:
    if not await changed(
        work.session,
        update(ImportedMembership)
        .where(ImportedMembership.id == row.id, ImportedMembership.state == "waiting")
        .values(state="expired", email_digest=None, ended_at=work.now),
    ):
        return
    if row.owed:
        shares = await policies.in_force(work, Shares)
        await ledger.post(
            work,
            source=chart.OPENING,
            external_id=f"expired:{row.id}",
            description="A membership from before that nobody claimed",
            postings=settlement.divide(row.owed, shares.document, (), salt=str(row.id)),
            policy_version=shares.id,
        )


async def _credit(work: UnitOfWork, row: ImportedMembership, account: Account) -> None:
    """Keep what is left of a year that was paid for twice; the treasurer gives it back.

    The VAT in it was paid over with the whole year, so the reserve bears that part.
    """
    if row.owed:
        left = row.price - settlement.recognised(row.price, row.months)
        await ledger.post(
            work,
            source=chart.OPENING,
            external_id=f"beside:{row.id}",
            description="The rest of an imported year beside one that was paid here",
            postings=[
                debit(DEFERRED_DUES, row.owed),
                debit(RESERVE, left - row.owed),
                credit(MEMBER_CREDIT, left),
            ],
            policy_version=row.policy_version,
            person=await ledger.references.of(work, account.id),
        )


async def _renew_no_more_than(
    work: UnitOfWork, row: ImportedMembership, account: Account, *, stop: bool
) -> None:
    """Take the renewal at Stripe over as it is, or stop it where another year runs already."""
    if row.subscription is None or row.amount is None:
        return
    await insert_once(
        work.session,
        Subscription,
        id=row.subscription,
        account_id=account.id,
        amount=row.amount,
        begun_at=work.now,
        status="active",
        stops=row.stops,
        wish="stop" if stop else "renew",
    )
