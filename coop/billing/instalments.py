"""Instalments: a whole year granted at the start, its dues charged in equal parts ahead of the months they pay for.

The processor keeps a subscription that ends by itself after the last charge. What is still to come stands in the books as
Instalments due; what never comes falls on the reserve, and the year runs on, as after a lost dispute.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.billing import letters, payments, receipt_letters, refunds, subscriptions
from coop.billing.gateway import InvoiceState, NotVisible, PaymentState
from coop.billing.payments import Payment
from coop.billing.receipt_letters import Said
from coop.clock import month_anniversary
from coop.database import Base, changed
from coop.errors import Invalid, NotAllowed, Refused
from coop.identity.accounts import Account
from coop.ledger import (
    DEFERRED_DUES,
    INSTALMENTS_DUE,
    MEMBER_CREDIT,
    POOL,
    RESERVE,
    RESERVED,
    STRIPE_PENDING,
    LedgerAccount,
    Posting,
)
from coop.membership import terms, vat
from coop.membership.terms import Term
from coop.money import Money, in_proportion
from coop.policies import Dues, Version
from coop.sponsorship import limits, places, queue
from coop.sponsorship.limits import AlreadyMember
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


async def begin(
    work: UnitOfWork,
    state: PaymentState,
    *,
    account_id: UUID,
    dues: Version[Dues],
    total: Money,
    count: int,
    place_id: int | None,
    subscription: str,
) -> bool:
    """Book the first instalment and grant the year; false if that was done before."""
    price = Money(dues.document.price)
    due = min(total, price)
    if total != price:
        await places.lock(work)
    payment = await payments.record(
        work,
        state,
        account_id=account_id,
        purpose="instalment",
        price=part(due, count, 1),
        policy_version=dues.id,
        subscription=subscription,
    )
    if payment is None:
        return False
    await subscriptions.keep(work, subscription, account_id=account_id, amount=state.amount, wish="finish")
    refusal, funding = await _funding(work, account_id, place_id, price - due)
    if refusal:
        await _return(work, payment, reason="no year to pay for")
        await subscriptions.end(work, subscription)
        await receipt_letters.post(work, payment, receipt_letters.FIRST_INSTALMENT, more=refusal)
        await payments.settle(work, payment, state.settlement)
        return True
    plan_id = new_id()
    await ledger.post(
        work,
        source="instalments",
        external_id=str(plan_id),
        description="Dues for a year, by instalments",
        postings=[ledger.debit(INSTALMENTS_DUE, due), *funding, ledger.credit(DEFERRED_DUES, price)],
        policy_version=dues.id,
        person=await ledger.references.of(work, account_id),
    )
    term = await terms.begin(work, account_id, dues=dues)
    if place_id is not None:
        await places.note_term(work, place_id, term.id)
    plan = InstalmentPlan(
        id=plan_id,
        account_id=account_id,
        term_id=term.id,
        subscription=subscription,
        policy_version=dues.id,
        count=count,
        each=state.amount,
        due=due,
        begun_at=work.now,
        next_at=None,
    )
    work.session.add(plan)
    await work.session.flush()
    added = vat.Part(term.id, None, term.vat_rate, price - due, term.vat - vat_of_instalments(term, plan))
    await vat.arise(work, [added], key=f"{term.id}:pool", policy_version=dues.id, person=account_id)
    await _charged(work, plan, payment)
    until = receipt_letters.runs_until(places.last_day(work, term))
    await receipt_letters.post(work, payment, receipt_letters.instalment(plan.paid, plan.count), more=until)
    await payments.settle(work, payment, state.settlement)
    if payment.surplus:
        await queue.give(work)
    return True


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


async def apply(
    work: UnitOfWork, plan: InstalmentPlan, invoice: InvoiceState, state: PaymentState | None
) -> bool:
    """Book an instalment that was paid, once; write when its card failed."""
    if invoice.status != "paid":
        return await _declined(work, plan, invoice)
    if state is None or not state.succeeded:
        raise NotVisible
    if plan.count * plan.each != plan.due:
        await places.lock(work)
    plan = await hold(work, plan.id)
    nth = min(plan.paid + 1, plan.count)
    payment = await payments.record(
        work,
        state,
        account_id=plan.account_id,
        purpose="instalment",
        price=part(plan.due, plan.count, nth) - part(plan.due, plan.count, nth - 1),
        policy_version=plan.policy_version,
        subscription=plan.subscription,
    )
    if payment is None:
        return False
    if not await _charged(work, plan, payment):
        await _return(work, payment, reason="charged too much")
    await receipt_letters.post(work, payment, receipt_letters.instalment(plan.paid, plan.count))
    await payments.settle(work, payment, state.settlement)
    if payment.surplus:
        await queue.give(work)
    return True


async def default(work: UnitOfWork, plan_id: UUID) -> bool:
    """Let the reserve bear what will not come any more; the year runs on. False if there is nothing to bear."""
    plan = await hold(work, plan_id)
    if not await changed(
        work.session,
        update(InstalmentPlan)
        .where(InstalmentPlan.id == plan_id, InstalmentPlan.state == "running")
        .values(state="defaulted", next_at=None),
    ):
        return False
    term = await work.session.get_one(Term, plan.term_id)
    untaxed = vat_to_come(term, plan)
    await ledger.post(
        work,
        source="instalments",
        external_id=f"default:{plan_id}",
        description="Instalments that did not come",
        postings=[
            ledger.debit(RESERVE, plan.outstanding - untaxed),
            # What does not come bears no tax, so the reserve need not bear any either.
            ledger.debit(DEFERRED_DUES, untaxed),
            ledger.credit(INSTALMENTS_DUE, plan.outstanding),
        ],
        policy_version=plan.policy_version,
        person=await ledger.references.of(work, plan.account_id),
    )
    await letters.post(
        work,
        plan.account_id,
        letters.INSTALMENTS_ENDED,
        key=f"instalments-defaulted:{plan.id}",
        day=term.ends - timedelta(seconds=1),
    )
    return True


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


async def _funding(
    work: UnitOfWork, account_id: UUID, place_id: int | None, gap: Money
) -> tuple[Said | None, list[Posting]]:
    """Return the pool's part as postings, or why no year can begin."""
    try:
        await limits.may_renew(work, account_id)
    except AlreadyMember:
        return receipt_letters.PAID_TWICE, []
    if not gap:
        return None, []
    kept = None if place_id is None else await places.take_up(work, place_id)
    if kept is None:
        return receipt_letters.TOO_LATE, []
    if kept != gap:
        msg = f"{kept} is kept for a gap of {gap}"
        raise ValueError(msg)
    return None, [ledger.debit(RESERVED, kept)]


async def _charged(work: UnitOfWork, plan: InstalmentPlan, payment: Payment) -> bool:
    """Count an instalment and post it; false if the plan wants no further one."""
    nth = plan.paid + 1
    if plan.state == "ended" or not await changed(
        work.session,
        update(InstalmentPlan)
        .where(
            InstalmentPlan.id == plan.id,
            InstalmentPlan.state == plan.state,
            InstalmentPlan.paid == plan.paid,
            InstalmentPlan.paid < plan.count,
        )
        .values(
            paid=nth,
            state="paid" if nth == plan.count else plan.state,
            next_at=_expected(plan, nth),
        ),
    ):
        return False
    # What comes after all was the reserve's loss, and is its gain.
    toward = RESERVE if plan.state == "defaulted" else INSTALMENTS_DUE
    await work.session.refresh(plan)
    await ledger.post(
        work,
        source="payment",
        external_id=payment.gateway_id,
        description=f"Instalment {nth} of {plan.count}",
        postings=[
            ledger.debit(STRIPE_PENDING, payment.amount),
            ledger.credit(toward, payment.own_part),
            ledger.credit(POOL, payment.surplus),
        ],
        policy_version=plan.policy_version,
        person=await ledger.references.of(work, plan.account_id),
    )
    await _tax(work, plan, payment, nth, out_of=RESERVE if toward == RESERVE else DEFERRED_DUES)
    return True


async def _tax(
    work: UnitOfWork, plan: InstalmentPlan, payment: Payment, nth: int, *, out_of: LedgerAccount
) -> None:
    """Book the VAT in the `nth` instalment: it arises as each of them comes."""
    term = await work.session.get_one(Term, plan.term_id)
    whole = vat_of_instalments(term, plan)
    tax = part(whole, plan.count, nth) - part(whole, plan.count, nth - 1)
    paid = vat.Part(term.id, payment.id, term.vat_rate, payment.own_part, tax)
    await vat.arise(
        work,
        [paid],
        key=f"{term.id}:{payment.id}",
        policy_version=plan.policy_version,
        person=plan.account_id,
        out_of=out_of,
    )


def _expected(plan: InstalmentPlan, nth: int) -> datetime | None:
    """Return when to ask about the charge after the `nth`; the processor bills by the calendar of UTC."""
    if nth >= plan.count or plan.state != "running":
        return None
    begun = plan.begun_at.astimezone(UTC)
    day = month_anniversary(begun.date(), MONTHS // plan.count * nth)
    return datetime.combine(day, begun.timetz()) + PATIENCE


async def _return(work: UnitOfWork, payment: Payment, *, reason: str) -> None:
    await ledger.post(
        work,
        source="payment",
        external_id=payment.gateway_id,
        description="Money without a year to pay for",
        postings=[
            ledger.debit(STRIPE_PENDING, payment.amount),
            ledger.credit(MEMBER_CREDIT, payment.amount),
        ],
        policy_version=payment.policy_version,
        person=await ledger.references.of(work, payment.account_id),
    )
    await refunds.intend(work, payment, payment.amount, reason=reason)


async def _declined(work: UnitOfWork, plan: InstalmentPlan, invoice: InvoiceState) -> bool:
    if not invoice.attempts or plan.state != "running":
        return False
    await letters.post(
        work,
        plan.account_id,
        letters.INSTALMENT_DECLINED,
        key=f"declined:{invoice.id}:{invoice.attempts}",
        amount=plan.each,
        nth=plan.paid + 1,
        count=plan.count,
    )
    return True
