"""Household dues: one charge that begins a year for each person of a household.

The years are written down with the checkout: whoever joins the household later is not in it, and whoever cannot be given a
year any more when the money comes has their part sent back by itself.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.billing import letters, payments, receipt_letters, refunds
from coop.billing.gateway import PaymentState
from coop.billing.payments import Payment
from coop.database import Base
from coop.errors import Refused
from coop.identity.accounts import Account
from coop.ledger import DEFERRED_DUES, MEMBER_CREDIT, POOL, RESERVED, STRIPE_PENDING
from coop.membership import households, terms, vat
from coop.membership.terms import Term
from coop.money import ZERO, Money
from coop.policies import Dues, Version
from coop.sponsorship import limits, places, pool, queue, together
from coop.unit_of_work import UnitOfWork, new_id


class NobodyToPayFor(Refused):
    """Everybody in your household is paid up; there is nothing to pay yet."""

    code = "nobody_to_pay_for"


class HouseholdYear(Base):
    """One person's year in a household's checkout, and what came of it."""

    __tablename__ = "household_years"
    __table_args__ = (
        UniqueConstraint("checkout_id", "account_id"),
        CheckConstraint("amount > 0 AND price > 0", name="amounts"),
        CheckConstraint("term_id IS NULL OR payment_id IS NOT NULL", name="paid"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    checkout_id: Mapped[UUID] = mapped_column(ForeignKey("checkouts.id"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    amount: Mapped[Money]
    """What the payer pays of it."""
    price: Mapped[Money]
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id"), index=True, default=None)
    term_id: Mapped[UUID | None] = mapped_column(ForeignKey("terms.id"), unique=True, default=None)

    @property
    def own_part(self) -> Money:
        """What of the dues the payer covers."""
        return min(self.amount, self.price)

    @property
    def surplus(self) -> Money:
        """What goes to the pool beyond the price."""
        return self.amount - self.own_part


async def payable(work: UnitOfWork, payer_id: UUID) -> list[UUID]:
    """Return whose year the payer of a household can pay for now."""
    household = await households.of(work, payer_id)
    if household is None or household.payer_id != payer_id:
        raise households.NotThePayer
    found = []
    for person in await households.people(work, household):
        try:
            await limits.may_renew(work, person.account_id)
        except limits.AlreadyMember:
            continue
        found.append(person.account_id)
    return found


async def intend(
    work: UnitOfWork, accounts: Sequence[UUID], *, checkout_id: UUID, each: Money, dues: Version[Dues]
) -> None:
    """Write down whose years a checkout pays for, with the pool's part of all of them kept, or refuse."""
    price = Money(dues.document.price)
    if each < price:
        gap = len(accounts) * (price - each)
        await together.reserve(work, gap, accounts, key=_key(checkout_id))
    work.session.add_all(
        HouseholdYear(checkout_id=checkout_id, account_id=account_id, amount=each, price=price)
        for account_id in accounts
    )


async def let_go(work: UnitOfWork, checkout_id: UUID) -> None:
    """Give the pool's part back: the checkout has ended unpaid."""
    if await pool.release(work, _key(checkout_id)):
        await queue.give(work)


async def book(
    work: UnitOfWork, state: PaymentState, *, payer_id: UUID, checkout_id: UUID, dues: Version[Dues]
) -> bool:
    """Book one charge and begin every year that it is for; false if that was done before."""
    await places.lock(work)
    years = await of_checkout(work, checkout_id)
    price = sum((year.price for year in years), ZERO)
    payment = await payments.record(
        work, state, account_id=payer_id, purpose="household", price=price, policy_version=dues.id
    )
    if payment is None:
        return False
    begun, left_out = await _sorted(work, payer_id, years)
    kept = ZERO
    if payment.gap:
        kept = await pool.spend(work, _key(checkout_id)) or ZERO
        if kept != payment.gap:
            # Money that comes after its reservation was given back begins no year of anybody.
            begun, left_out = [], years
    back = sum((year.amount for year in left_out), ZERO)
    spare = sum((year.surplus for year in begun), ZERO)
    unused = kept - sum((year.price - year.own_part for year in begun), ZERO)
    await ledger.post(
        work,
        source="payment",
        external_id=payment.gateway_id,
        description=f"Dues for a year, {len(begun)} people",
        postings=[
            ledger.debit(STRIPE_PENDING, payment.amount),
            ledger.debit(RESERVED, kept),
            ledger.credit(DEFERRED_DUES, sum((year.price for year in begun), ZERO)),
            ledger.credit(POOL, spare + unused),
            ledger.credit(MEMBER_CREDIT, back),
        ],
        policy_version=dues.id,
        person=await ledger.references.of(work, payer_id),
    )
    for year in years:
        year.payment_id = payment.id
    for year in begun:
        term = await terms.begin(work, year.account_id, dues=dues)
        year.term_id = term.id
        # In the payer's books, as what it was paid with.
        await vat.due(work, term, paid={payment.id: year.own_part}, person=payer_id)
        if year.account_id != payer_id:
            await letters.post(
                work,
                year.account_id,
                letters.HOUSEHOLD_YEAR,
                key=f"household-year:{year.id}",
                day=term.ends - timedelta(seconds=1),
            )
    await work.session.flush()
    more = None
    if back:
        await refunds.intend(work, payment, back, reason="no year to pay for")
        more = receipt_letters.NOT_EVERYBODY
    await receipt_letters.post(work, payment, receipt_letters.years(len(begun)), more=more)
    await payments.settle(work, payment, state.settlement)
    if spare or unused:
        await queue.give(work)
    return True


async def of_checkout(work: UnitOfWork, checkout_id: UUID) -> list[HouseholdYear]:
    """Return the years of a checkout, in an order that is always the same."""
    found = await work.session.scalars(
        select(HouseholdYear)
        .where(HouseholdYear.checkout_id == checkout_id)
        .order_by(HouseholdYear.account_id)
    )
    return list(found)


async def of_term(work: UnitOfWork, term_id: UUID) -> tuple[HouseholdYear, Payment] | None:
    """Return the part of a household's payment behind a year, if that is how it was paid."""
    row = (
        await work.session.execute(
            select(HouseholdYear, Payment)
            .join(Payment, Payment.id == HouseholdYear.payment_id)
            .where(HouseholdYear.term_id == term_id)
            .execution_options(populate_existing=True)
        )
    ).first()
    return None if row is None else (row[0], row[1])


async def given_back(work: UnitOfWork, year: HouseholdYear, payment: Payment) -> Money:
    """Return what of a running year was given back while it stayed: its part of what a treasurer gave back of the payment."""
    rows = await work.session.execute(
        select(HouseholdYear.id, HouseholdYear.amount, Term.id.is_(None) | Term.ended_early_at.is_not(None))
        .outerjoin(Term, Term.id == HouseholdYear.term_id)
        .where(HouseholdYear.payment_id == payment.id, HouseholdYear.id != year.id)
    )
    left, staying = payment.refunded, [year.id]
    for other_id, amount, gone in rows:
        if gone:
            # It took its part of it along.
            left -= amount
        else:
            staying.append(other_id)
    nth = sorted(staying).index(year.id)
    return Money(left.minor * (nth + 1) // len(staying) - left.minor * nth // len(staying))


async def paid_for(work: UnitOfWork, payer_id: UUID) -> list[tuple[HouseholdYear, Term, str]]:
    """Return the running years that an account paid for others, with whose they are."""
    rows = await work.session.execute(
        select(HouseholdYear, Term, Account.handle)
        .join(Payment, Payment.id == HouseholdYear.payment_id)
        .join(Term, Term.id == HouseholdYear.term_id)
        .join(Account, Account.id == HouseholdYear.account_id)
        .where(Payment.account_id == payer_id, Term.ends > work.now, Term.ended_early_at.is_(None))
        .order_by(Account.handle)
    )
    return [(year, term, handle) for year, term, handle in rows]


async def _sorted(
    work: UnitOfWork, payer_id: UUID, years: Sequence[HouseholdYear]
) -> tuple[list[HouseholdYear], list[HouseholdYear]]:
    """Part the years that can begin from those of people who left the household, or got a year otherwise, meanwhile."""
    household = await households.of(work, payer_id)
    there = set() if household is None else {p.account_id for p in await households.people(work, household)}
    begun: list[HouseholdYear] = []
    left_out: list[HouseholdYear] = []
    for year in years:
        try:
            await limits.may_renew(work, year.account_id)
        except limits.AlreadyMember:
            left_out.append(year)
        else:
            # The payer's own year does not hang on a household that ended while they paid.
            stays = year.account_id in there or year.account_id == payer_id
            (begun if stays else left_out).append(year)
    return begun, left_out


def _key(checkout_id: UUID) -> str:
    return f"household:{checkout_id}"
