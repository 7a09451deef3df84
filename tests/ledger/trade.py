"""Books with something in them, for tests that read them."""

from datetime import date, timedelta
from uuid import UUID, uuid4

from coop import ledger, policies
from coop.ledger import (
    DEFERRED_DUES,
    FEES,
    HOSTING,
    OPERATIONS,
    POOL,
    RESERVE,
    RESERVED,
    STRIPE,
    STRIPE_PENDING,
    Posting,
    credit,
    debit,
    network_payable,
)
from coop.money import Money
from coop.policies import Dues
from coop.unit_of_work import UnitOfWork, Units
from tests.cooperative import found

PRICE = Money(2500)


async def book(
    work: UnitOfWork, day: date, what: str, *postings: Posting, person: UUID | None = None
) -> None:
    dues = await policies.in_force(work, Dues)
    await ledger.post(
        work,
        source="test",
        external_id=uuid4().hex,
        description=what,
        postings=postings,
        policy_version=dues.id,
        person=person or uuid4(),
        date=day,
    )


async def year(work: UnitOfWork, day: date, *, paid: Money = PRICE, person: UUID | None = None) -> None:
    """Book a year of dues, paid with a surplus, exactly, or in part with the pool's help."""
    gap = Money(max(0, PRICE.minor - paid.minor))
    surplus = Money(max(0, paid.minor - PRICE.minor))
    if gap:
        await book(work, day, "Reserved", debit(POOL, gap), credit(RESERVED, gap), person=person)
    await book(
        work,
        day,
        "Dues for a year",
        debit(STRIPE_PENDING, paid),
        debit(RESERVED, gap),
        credit(DEFERRED_DUES, PRICE),
        credit(POOL, surplus),
        person=person,
    )
    if paid:
        fee = Money(103)
        await book(
            work,
            day,
            "Its fee",
            debit(STRIPE, paid - fee),
            debit(FEES, fee),
            credit(STRIPE_PENDING, paid),
            person=person,
        )


async def three_months(units: Units) -> None:
    """Book January (12 years), February (4) and March (9, today's month), with a hosting bill and networks' parts."""
    await found(units)
    async with units.open() as work:
        for month, count in ((1, 12), (2, 4), (3, 9)):
            first = date(2026, month, 1)
            for number in range(count):
                paid = Money((4000, 2500, 1000)[number % 3])
                await year(work, min(first + timedelta(days=number), date(2026, 3, 2)), paid=paid)
            await book(
                work,
                first,
                "A month of dues",
                debit(DEFERRED_DUES, Money(1000)),
                credit(OPERATIONS, Money(300)),
                credit(RESERVE, Money(100)),
                credit(network_payable("forum"), Money(600)),
            )
            await book(work, first, "Hosting", debit(HOSTING, Money(777)), credit(STRIPE, Money(777)))
