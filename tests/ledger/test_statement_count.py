from coop import ledger
from coop.ledger import DEFERRED_DUES, POOL, STRIPE_PENDING, credit, debit
from coop.money import Money
from coop.unit_of_work import Units
from tests.statements import said_to


async def test_booking_dues_with_a_surplus_costs_three_statements(units: Units) -> None:
    async with units.open() as work:
        with said_to(units) as statements:
            await ledger.post(
                work,
                source="test",
                external_id="1",
                description="A year",
                postings=[
                    debit(STRIPE_PENDING, Money(4000)),
                    credit(DEFERRED_DUES, Money(2500)),
                    credit(POOL, Money(1500)),
                ],
            )

    # All postings, the entry, the pool's balance.
    assert [statement.split()[0] for statement in statements] == [
        "INSERT",
        "INSERT",
        "UPDATE",
    ]
