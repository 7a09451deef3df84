"""Plans: in how many parts a year is paid, how many of them have come, and what of the dues and their VAT is still to come."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.billing.payments import Payment
from coop.clock import month_anniversary
from coop.database import Base, changed
from coop.errors import Invalid, NotAllowed, Refused
from coop.identity.accounts import Account
from coop.membership.terms import Term
from coop.money import Money, in_proportion
from coop.unit_of_work import UnitOfWork, new_id

MONTHS = 12
PATIENCE = timedelta(hours=2)
"""How long after its day a charge is waited for before the processor is asked; it bills within the hour."""


class NoInstalments(Invalid):
    """This amount cannot be paid by instalments. Pay it at once, or choose a larger one."""

    code = "no_instalments"


class InstalmentsNeedEmail(NotAllowed):
    """Instalments need an e-mail address that you have confirmed, since we tell you if a charge fails."""

    code = "instalments_need_email"


class InstalmentsUnpaid(Refused):
    """Instalments of an earlier year were not paid, or still run. Pay this year at once, or ask for a place."""

    code = "instalments_unpaid"


class InstalmentPlan(Base):
    """The instalments of one term, and how many of them have been paid."""

    __tablename__ = "instalment_plans"
    __table_args__ = (
        CheckConstraint("count IN (2, 3, 4, 6, 12)", name="count"),
        CheckConstraint("each > 0 AND due > 0 AND due <= count * each", name="amounts"),
        CheckConstraint("paid BETWEEN 0 AND count AND (state <> 'paid' OR paid = count)", name="paid"),
        CheckConstraint("state IN ('running', 'paid', 'defaulted', 'ended')", name="state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    term_id: Mapped[UUID] = mapped_column(ForeignKey("terms.id"), unique=True)
    subscription: Mapped[str] = mapped_column(String(255), unique=True)
    """The processor's."""
    policy_version: Mapped[UUID] = mapped_column(ForeignKey("policy_versions.id"))
    count: Mapped[int]
    each: Mapped[Money]
    due: Mapped[Money]
    """What of the dues all instalments together pay; the pool pays what is missing to the price."""
    begun_at: Mapped[datetime]
    next_at: Mapped[datetime | None] = mapped_column(index=True)
    """When to ask the processor about the next charge unless it is heard of before."""
    paid: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(10), default="running")
    """`ended` by its member, who gave the year back or stopped."""

    @property
    def covered(self) -> Money:
        """What of the dues has been charged."""
        return part(self.due, self.count, self.paid)

    @property
    def outstanding(self) -> Money:
        """What of the dues is still to be charged."""
        return self.due - self.covered


def part(due: Money, count: int, paid: int) -> Money:
    """Return what of `due` so many of `count` instalments pay: all of them pay it to the cent."""
    return Money(due.minor * paid // count)


def vat_of_instalments(term: Term, plan: InstalmentPlan) -> Money:
    """Return the VAT in what all instalments together pay; that of the pool's part has arisen with the year."""
    return term.vat - in_proportion(term.vat, (term.price - plan.due).minor, term.price.minor)


def vat_to_come(term: Term, plan: InstalmentPlan) -> Money:
    """Return the VAT in the instalments that have not come: it is not due before they do."""
    whole = vat_of_instalments(term, plan)
    return whole - part(whole, plan.count, plan.paid)


def months_paid(plan: InstalmentPlan) -> int:
    """Return how many months of the year the charges so far pay for."""
    return MONTHS * plan.paid // plan.count


async def may_begin(work: UnitOfWork, account: Account) -> None:
    """Refuse instalments to whoever could not be told of a failed charge, or owes some."""
    if account.email is None or account.email_verified_at is None:
        raise InstalmentsNeedEmail(field="renewal")
    last = await work.session.scalar(
        select(InstalmentPlan.state)
        .where(InstalmentPlan.account_id == account.id)
        .order_by(InstalmentPlan.begun_at.desc())
        .limit(1)
    )
    if last in {"running", "defaulted"}:
        raise InstalmentsUnpaid(field="renewal")


async def of_subscription(work: UnitOfWork, subscription: str) -> InstalmentPlan | None:
    """Return the plan that a subscription of the processor charges for."""
    found: InstalmentPlan | None = await work.session.scalar(
        select(InstalmentPlan)
        .where(InstalmentPlan.subscription == subscription)
        .execution_options(populate_existing=True)
    )
    return found


async def of_term(work: UnitOfWork, term_id: UUID) -> InstalmentPlan | None:
    """Return the plan by which a year is paid, if it is paid so."""
    found: InstalmentPlan | None = await work.session.scalar(
        select(InstalmentPlan)
        .where(InstalmentPlan.term_id == term_id)
        .execution_options(populate_existing=True)
    )
    return found


async def of_account(work: UnitOfWork, account_id: UUID) -> list[InstalmentPlan]:
    """Return every plan of an account, the newest first."""
    found = await work.session.scalars(
        select(InstalmentPlan)
        .where(InstalmentPlan.account_id == account_id)
        .order_by(InstalmentPlan.begun_at.desc())
    )
    return list(found)


async def hold(work: UnitOfWork, plan_id: UUID) -> InstalmentPlan:
    """Return a plan as it is now, and keep it so until this unit ends: charges are counted one after another."""
    await work.session.execute(
        update(InstalmentPlan).where(InstalmentPlan.id == plan_id).values(paid=InstalmentPlan.paid)
    )
    return await work.session.get_one(InstalmentPlan, plan_id, populate_existing=True)


async def paid_by(work: UnitOfWork, plan: InstalmentPlan) -> list[Payment]:
    """Return the payments of a plan, the first one first."""
    found = await work.session.scalars(
        select(Payment)
        .where(Payment.subscription == plan.subscription, Payment.purpose == "instalment")
        .order_by(Payment.received_at, Payment.id)
    )
    return list(found)


async def ask_again(work: UnitOfWork, plan_id: UUID, at: datetime) -> None:
    """Ask the processor about a charge that it still tries to collect no sooner than `at`."""
    await work.session.execute(
        update(InstalmentPlan)
        .where(
            InstalmentPlan.id == plan_id,
            InstalmentPlan.state == "running",
            InstalmentPlan.next_at <= work.now,
        )
        .values(next_at=at)
    )


async def end(work: UnitOfWork, plan: InstalmentPlan) -> bool:
    """End a plan by its member's word; the caller posts what becomes of the dues and stops the processor."""
    return await changed(
        work.session,
        update(InstalmentPlan)
        .where(InstalmentPlan.id == plan.id, InstalmentPlan.state != "ended")
        .values(state="ended", next_at=None),
    )


def expected(plan: InstalmentPlan, nth: int) -> datetime | None:
    """Return when to ask about the charge after the `nth`; the processor bills by the calendar of UTC."""
    if nth >= plan.count or plan.state != "running":
        return None
    begun = plan.begun_at.astimezone(UTC)
    day = month_anniversary(begun.date(), MONTHS // plan.count * nth)
    return datetime.combine(day, begun.timetz()) + PATIENCE
