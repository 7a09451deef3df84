"""Stopping instalments: the year ends with the months that were paid for, and nothing is owed.

A year is granted whole, but nobody is held to eleven more charges: the rest of the dues is given back to where it would
have come from, the instalments that are not charged any more and the pool.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from coop import ledger
from coop.billing import instalment_plans, subscriptions
from coop.billing.instalment_plans import InstalmentPlan
from coop.ledger import DEFERRED_DUES, INSTALMENTS_DUE, POOL, RESERVE, VAT_PAYABLE
from coop.membership import terms, vat
from coop.membership.terms import Term
from coop.money import ZERO
from coop.networks import settlement
from coop.sponsorship import places, queue
from coop.unit_of_work import UnitOfWork


async def running(work: UnitOfWork, account_id: UUID) -> InstalmentPlan | None:
    """Return the plan that still charges an account, if one does."""
    found: InstalmentPlan | None = await work.session.scalar(
        select(InstalmentPlan)
        .where(InstalmentPlan.account_id == account_id, InstalmentPlan.state == "running")
        .order_by(InstalmentPlan.begun_at)
        .limit(1)
    )
    return found


async def last_instant(work: UnitOfWork, plan: InstalmentPlan) -> datetime:
    """Return when the year would end if its instalments were stopped now: with the months they have paid for."""
    term = await work.session.get_one(Term, plan.term_id)
    paid = instalment_plans.months_paid(plan)
    ends = settlement.month_end(term, paid, work) if paid else term.begins
    # A renewal in grace begins in the past, before its first charge.
    return min(max(ends, work.now), term.ends)


async def stop(work: UnitOfWork, account_id: UUID) -> tuple[str, datetime] | None:
    """End the year with what was paid for it; return the subscription that is to stop and when the year ends, if any."""
    found = await running(work, account_id)
    if found is None:
        return None
    await places.lock(work)
    plan = await instalment_plans.hold(work, found.id)
    if plan.state != "running":
        return None
    ends = await last_instant(work, plan)
    await instalment_plans.end(work, plan)
    await subscriptions.end(work, plan.subscription)
    term = await terms.end_early(work, plan.term_id, at=ends)
    months = months_by(work, term, ends)
    left = term.net - settlement.recognised(term.net, months) + instalment_plans.vat_to_come(term, plan)
    # The instalments that came are of the months that stay; of the pool's part, the months that are given back bear no tax.
    untaxed = [
        part.of(part.dues - settlement.recognised(part.dues, months))
        for part in await vat.of_term(work, term.id)
        if part.payment_id is None
    ]
    rest = left + vat.total(untaxed) - plan.outstanding
    entry = await ledger.post(
        work,
        source="instalments",
        external_id=f"stop:{plan.id}",
        description="A year that ends with the instalments paid",
        postings=[
            ledger.debit(DEFERRED_DUES, left),
            ledger.debit(VAT_PAYABLE, vat.total(untaxed)),
            ledger.credit(INSTALMENTS_DUE, plan.outstanding),
            # The pool's part of the months that are given back; what months gone by still wanted falls on the reserve.
            ledger.credit(POOL, max(rest, ZERO)),
            ledger.debit(RESERVE, max(-rest, ZERO)),
        ],
        policy_version=plan.policy_version,
        person=await ledger.references.of(work, account_id),
    )
    await vat.went_back(work, entry, [part for part in untaxed if part.dues])
    if rest > ZERO:
        await queue.give(work)
    return plan.subscription, ends


def months_by(work: UnitOfWork, term: Term, instant: datetime) -> int:
    """Return how many months of a term have passed by `instant`, whether they are booked yet or will be."""
    months = 0
    while months < settlement.MONTHS and settlement.month_end(term, months + 1, work) <= instant:
        months += 1
    return months
