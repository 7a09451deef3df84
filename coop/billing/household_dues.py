"""Household dues: one charge that begins a year for each person of a household.

The years are written down with the checkout, or with the announced bank transfer: whoever joins the household later is not in
it, and whoever cannot be given a year any more when the money comes has their part sent back.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.billing import letters, payments, receipt_letters, refunds
from coop.billing.gateway import PaymentState
from coop.billing.payments import Method, Payment
from coop.billing.receipt_letters import Said
from coop.database import Base
from coop.errors import Refused
from coop.identity.accounts import Account
from coop.ledger import DEFERRED_DUES, MEMBER_CREDIT, POOL, RESERVED
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
    """One person's year in a household's checkout or bank transfer, and what came of it.

    It has neither where money came that nothing stood open for: in cash, or under a reference of before.
    """

    __tablename__ = "household_years"
    __table_args__ = (
        UniqueConstraint("checkout_id", "account_id"),
        UniqueConstraint("transfer_id", "account_id"),
        CheckConstraint(
            "(checkout_id IS NULL OR transfer_id IS NULL) "
            "AND (checkout_id IS NOT NULL OR transfer_id IS NOT NULL OR payment_id IS NOT NULL)",
            name="origin",
        ),
        CheckConstraint("amount > 0 AND price > 0", name="amounts"),
        CheckConstraint("term_id IS NULL OR payment_id IS NOT NULL", name="paid"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    amount: Mapped[Money]
    """What the payer pays of it."""
    price: Mapped[Money]
    checkout_id: Mapped[UUID | None] = mapped_column(ForeignKey("checkouts.id"), default=None)
    transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfers.id"), default=None)
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
    return await able(work, payer_id)


async def intend(
    work: UnitOfWork,
    accounts: Sequence[UUID],
    *,
    each: Money,
    dues: Version[Dues],
    checkout_id: UUID | None = None,
    transfer_id: UUID | None = None,
) -> None:
    """Write down whose years a checkout or a transfer pays for, with the pool's part of all of them kept, or refuse."""
    price = Money(dues.document.price)
    if each < price:
        gap = len(accounts) * (price - each)
        await together.reserve(work, gap, accounts, key=key_of(checkout_id or transfer_id))
    work.session.add_all(
        HouseholdYear(
            account_id=account_id,
            amount=each,
            price=price,
            checkout_id=checkout_id,
            transfer_id=transfer_id,
        )
        for account_id in accounts
    )


async def let_go(work: UnitOfWork, origin: UUID) -> None:
    """Give the pool's part back: the checkout or the transfer has ended unpaid."""
    if await pool.release(work, key_of(origin)):
        await queue.give(work)


async def book(
    work: UnitOfWork, state: PaymentState, *, payer_id: UUID, checkout_id: UUID, dues: Version[Dues]
) -> bool:
    """Book one charge and begin every year that it is for; false if that was done before."""
    await places.lock(work)
    years = await of_checkout(work, checkout_id)
    may = set(await able(work, payer_id, [year.account_id for year in years]))
    return await begin(
        work,
        state,
        payer_id=payer_id,
        years=[year for year in years if year.account_id in may],
        left_out=[year for year in years if year.account_id not in may],
        kept_under=(key_of(checkout_id),),
        dues=dues,
    )


async def begin(
    work: UnitOfWork,
    state: PaymentState,
    *,
    payer_id: UUID,
    years: Sequence[HouseholdYear],
    left_out: Sequence[HouseholdYear],
    kept_under: Sequence[str],
    dues: Version[Dues],
    method: Method = "card",
    why: Said = receipt_letters.NOT_EVERYBODY,
) -> bool:
    """Book a payment that is the sum of all these years; `years` begin, `left_out` is sent back, which the letter explains.

    False if that was done before.
    """
    every = [*years, *left_out]
    price = sum((year.price for year in every), ZERO)
    payment = await payments.record(
        work,
        state,
        account_id=payer_id,
        purpose="household",
        price=price,
        policy_version=dues.id,
        method=method,
    )
    if payment is None:
        return False
    for year in every:
        year.payment_id = payment.id
    work.session.add_all(every)
    kept = sum([await pool.spend(work, key) or ZERO for key in kept_under], ZERO)
    if kept < _gap(years):
        # Money that comes after its reservation was given back begins no year of anybody.
        years, left_out = [], every
    back = sum((year.amount for year in left_out), ZERO)
    spare = sum((year.surplus for year in years), ZERO)
    unused = kept - _gap(years)
    await ledger.post(
        work,
        source="payment",
        external_id=payment.gateway_id,
        description=f"Dues for a year, {len(years)} people",
        postings=[
            ledger.debit(payments.ARRIVES_AT[method], payment.amount),
            ledger.debit(RESERVED, kept),
            ledger.credit(DEFERRED_DUES, sum((year.price for year in years), ZERO)),
            ledger.credit(POOL, spare + unused),
            ledger.credit(MEMBER_CREDIT, back),
        ],
        policy_version=dues.id,
        person=await ledger.references.of(work, payer_id),
    )
    for year in years:
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
    if back:
        await refunds.intend(work, payment, back, reason="no year to pay for")
    await receipt_letters.post(work, payment, receipt_letters.years(len(years)), more=why if back else None)
    await payments.settle(work, payment, state.settlement)
    if spare or unused:
        await queue.give(work)
    return True


async def of_checkout(work: UnitOfWork, checkout_id: UUID) -> list[HouseholdYear]:
    """Return the years of a checkout, in an order that is always the same."""
    return await _written(work, HouseholdYear.checkout_id == checkout_id)


async def of_transfer(work: UnitOfWork, transfer_id: UUID) -> list[HouseholdYear]:
    """Return the years of a bank transfer, in an order that is always the same."""
    return await _written(work, HouseholdYear.transfer_id == transfer_id)


async def handles(work: UnitOfWork, transfer_id: UUID) -> list[str]:
    """Return for whom a bank transfer is to pay a year, by their handles."""
    found = await work.session.scalars(
        select(Account.handle)
        .join(HouseholdYear, HouseholdYear.account_id == Account.id)
        .where(HouseholdYear.transfer_id == transfer_id)
        .order_by(Account.handle)
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


async def able(work: UnitOfWork, payer_id: UUID, accounts: Sequence[UUID] | None = None) -> list[UUID]:
    """Return whose year can begin, of these accounts or of the whole household: the payer first, then as they joined.

    People who left the household, or got a year otherwise, are not among them.
    """
    household = await households.of(work, payer_id)
    pays = household is not None and household.payer_id == payer_id
    there = [p.account_id for p in await households.people(work, household)] if pays and household else []
    found = []
    # The payer's own year does not hang on a household that ended while they paid.
    for account_id in dict.fromkeys([payer_id, *there]):
        if accounts is not None and account_id not in accounts:
            continue
        try:
            await limits.may_renew(work, account_id)
        except limits.AlreadyMember:
            continue
        found.append(account_id)
    return found


def key_of(origin: UUID | None) -> str:
    """Return under which key the pool's part of a checkout or transfer is kept."""
    return f"household:{origin}"


def _gap(years: Sequence[HouseholdYear]) -> Money:
    return sum((year.price - year.own_part for year in years), ZERO)


async def _written(work: UnitOfWork, condition: ColumnElement[bool]) -> list[HouseholdYear]:
    found = await work.session.scalars(
        select(HouseholdYear).where(condition).order_by(HouseholdYear.account_id)
    )
    return list(found)
