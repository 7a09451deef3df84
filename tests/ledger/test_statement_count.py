from sqlalchemy import event

from coop import ledger
from coop.ledger import DEFERRED_DUES, POOL, STRIPE_PENDING, credit, debit
from coop.money import Money
from coop.unit_of_work import Units


async def test_booking_dues_with_a_surplus_costs_three_statements(units: Units) -> None:
    statements: list[str] = []
    async with units.open() as work:
        event.listen(
            units.writer.sync_engine,
            "before_cursor_execute",
            lambda _c, _cursor, statement, *_: statements.append(statement),
        )
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

    # All postings, the entry, the pool's balance; and a savepoint around them.
    assert [statement.split()[0] for statement in statements if "SAVEPOINT" not in statement] == [
        "INSERT",
        "INSERT",
        "UPDATE",
    ]
