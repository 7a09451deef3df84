"""Instalments: a whole year granted at the start, its dues charged in equal parts ahead of the months they pay for.

The processor keeps a subscription that ends by itself after the last charge. What is still to come stands in the books as
Instalments due; what never comes falls on the reserve, and the year runs on, as after a lost dispute.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import update

from coop import ledger
from coop.billing import instalment_plans, letters, payments, receipt_letters, refunds, subscriptions
from coop.billing.gateway import InvoiceState, NotVisible, PaymentState
from coop.billing.instalment_plans import InstalmentPlan
from coop.billing.payments import Payment
from coop.billing.receipt_letters import Said
from coop.database import changed
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
from coop.money import Money
from coop.policies import Dues, Version
from coop.sponsorship import limits, places, queue
from coop.sponsorship.limits import AlreadyMember
from coop.unit_of_work import UnitOfWork, new_id


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
        price=instalment_plans.part(due, count, 1),
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
    added = vat.Part(
        term.id, None, term.vat_rate, price - due, term.vat - instalment_plans.vat_of_instalments(term, plan)
    )
    await vat.arise(work, [added], key=f"{term.id}:pool", policy_version=dues.id, person=account_id)
    await _charged(work, plan, payment)
    until = receipt_letters.runs_until(places.last_day(work, term))
    await receipt_letters.post(work, payment, receipt_letters.instalment(plan.paid, plan.count), more=until)
    await payments.settle(work, payment, state.settlement)
    if payment.surplus:
        await queue.give(work)
    return True


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
    plan = await instalment_plans.hold(work, plan.id)
    nth = min(plan.paid + 1, plan.count)
    payment = await payments.record(
        work,
        state,
        account_id=plan.account_id,
        purpose="instalment",
        price=instalment_plans.part(plan.due, plan.count, nth)
        - instalment_plans.part(plan.due, plan.count, nth - 1),
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
    plan = await instalment_plans.hold(work, plan_id)
    if not await changed(
        work.session,
        update(InstalmentPlan)
        .where(InstalmentPlan.id == plan_id, InstalmentPlan.state == "running")
        .values(state="defaulted", next_at=None),
    ):
        return False
    term = await work.session.get_one(Term, plan.term_id)
    untaxed = instalment_plans.vat_to_come(term, plan)
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
            next_at=instalment_plans.expected(plan, nth),
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
    whole = instalment_plans.vat_of_instalments(term, plan)
    tax = instalment_plans.part(whole, plan.count, nth) - instalment_plans.part(whole, plan.count, nth - 1)
    paid = vat.Part(term.id, payment.id, term.vat_rate, payment.own_part, tax)
    await vat.arise(
        work,
        [paid],
        key=f"{term.id}:{payment.id}",
        policy_version=plan.policy_version,
        person=plan.account_id,
        out_of=out_of,
    )


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
