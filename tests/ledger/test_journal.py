from uuid import UUID, uuid4

import anyio
import pytest
from sqlalchemy import bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Uuid

from coop import ledger
from coop.ledger import DEFERRED_DUES, POOL, RESERVED, STRIPE_PENDING, JournalEntry, credit, debit
from coop.money import ZERO, Money
from coop.unit_of_work import UnitOfWork, Units

DUES = Money(2500)


async def pay(work: UnitOfWork, amount: Money = DUES, *, key: str | None = None) -> JournalEntry:
    return await ledger.post(
        work,
        source="test",
        external_id=key or uuid4().hex,
        description="A year",
        postings=[debit(STRIPE_PENDING, amount), credit(DEFERRED_DUES, amount)],
    )


async def fill_pool(units: Units, amount: Money) -> None:
    async with units.open() as work:
        await ledger.post(
            work,
            source="test",
            external_id=uuid4().hex,
            description="A sponsor gives",
            postings=[debit(STRIPE_PENDING, amount), credit(POOL, amount)],
        )


async def execute(work: UnitOfWork, statement: str, **values: object) -> None:
    """Run raw SQL, as somebody would who goes around the code."""
    bound = text(statement).bindparams(
        *(bindparam(name, type_=Uuid()) for name, value in values.items() if isinstance(value, UUID))
    )
    await work.session.execute(bound, values)


async def write_postings(work: UnitOfWork, entry: UUID, *amounts: int, start: int = 0) -> None:
    for position, amount in enumerate(amounts, start):
        await execute(
            work,
            "INSERT INTO postings (entry_id, position, account, amount) "
            f"VALUES (:entry, {position}, 'Assets:Bank', {amount})",
            entry=entry,
        )


async def write_entry(work: UnitOfWork, entry: UUID, size: int, *, verb: str = "INSERT") -> None:
    await execute(
        work,
        f"{verb} INTO journal_entries (id, date, source, external_id, description, size, recorded_at) "
        f"VALUES (:entry, '2026-03-02', 'raw', '{entry}', 'x', {size}, '2026-03-02 12:00:00')",
        entry=entry,
    )


async def test_a_posted_entry_can_be_read_back(units: Units) -> None:
    async with units.open() as work:
        entry = await pay(work)

    async with units.read() as work:
        assert await ledger.postings_of(work, entry.id) == (
            debit(STRIPE_PENDING, DUES),
            credit(DEFERRED_DUES, DUES),
        )
        assert await ledger.balance(work, DEFERRED_DUES) == DUES
        assert await ledger.balance(work, STRIPE_PENDING) == DUES


async def test_an_event_is_booked_once(units: Units) -> None:
    async with units.open() as work:
        await pay(work, key="one")
        with pytest.raises(ledger.AlreadyPosted):
            await pay(work, key="one")

    async with units.read() as work:
        assert await ledger.balance(work, DEFERRED_DUES) == DUES


async def test_of_ten_simultaneous_bookings_of_one_event_one_stands(units: Units) -> None:
    refused = 0

    async def book() -> None:
        nonlocal refused
        try:
            async with units.open() as work:
                await pay(work, key="same")
        except ledger.AlreadyPosted:
            refused += 1

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(book)

    async with units.read() as work:
        assert await ledger.balance(work, DEFERRED_DUES) == DUES
    assert refused == 9


@pytest.mark.parametrize(
    "postings",
    [
        [],
        [debit(STRIPE_PENDING, ZERO), credit(DEFERRED_DUES, ZERO)],
        [debit(STRIPE_PENDING, DUES)],
        [debit(STRIPE_PENDING, DUES), credit(DEFERRED_DUES, Money(2499))],
    ],
)
async def test_what_does_not_sum_to_zero_is_never_sent(units: Units, postings: list[ledger.Posting]) -> None:
    async with units.open() as work:
        with pytest.raises(ValueError, match="sum to zero"):
            await ledger.post(work, source="test", external_id="1", description="Crooked", postings=postings)


async def test_postings_of_nothing_are_left_out(units: Units) -> None:
    async with units.open() as work:
        entry = await ledger.post(
            work,
            source="test",
            external_id="1",
            description="Exactly the price",
            postings=[debit(STRIPE_PENDING, DUES), credit(DEFERRED_DUES, DUES), credit(POOL, ZERO)],
        )

        assert len(await ledger.postings_of(work, entry.id)) == 2


async def test_an_unknown_ledger_account_is_refused(units: Units) -> None:
    async with units.open() as work:
        with pytest.raises(ledger.BadLedgerAccount):
            await ledger.post(
                work,
                source="test",
                external_id="1",
                description="To nowhere",
                postings=[debit(ledger.LedgerAccount("Assets:Mattress"), DUES), credit(DEFERRED_DUES, DUES)],
            )


async def test_a_reversal_is_the_opposite_and_comes_once(units: Units) -> None:
    async with units.open() as work:
        entry = await pay(work)
        await ledger.reverse(work, entry.id, description="Paid by mistake")
        with pytest.raises(ledger.AlreadyPosted):
            await ledger.reverse(work, entry.id, description="Paid by mistake")

    async with units.read() as work:
        assert await ledger.balance(work, DEFERRED_DUES) == ZERO


@pytest.mark.parametrize("amounts", [(100, -99), (100,), (), (100, -50, -50, 1)])
async def test_the_database_refuses_an_entry_that_does_not_balance(
    units: Units, amounts: tuple[int, ...]
) -> None:
    async def write() -> None:
        async with units.open() as work:
            entry = uuid4()
            await write_postings(work, entry, *amounts)
            await write_entry(work, entry, max(len(amounts), 2))

    with pytest.raises(DBAPIError):
        await write()


async def test_the_database_takes_an_entry_that_balances(units: Units) -> None:
    async with units.open() as work:
        entry = uuid4()
        await write_postings(work, entry, 100, -60, -40)
        await write_entry(work, entry, 3)

    async with units.read() as work:
        assert len(await ledger.postings_of(work, entry)) == 3


async def test_the_database_refuses_postings_without_an_entry(units: Units) -> None:
    with pytest.raises(DBAPIError):
        async with units.open() as work:
            await write_postings(work, uuid4(), 100, -100)


async def test_the_database_refuses_a_late_posting(units: Units) -> None:
    async with units.open() as work:
        entry = await pay(work)

    with pytest.raises(DBAPIError, match="complete"):
        async with units.open() as work:
            await write_postings(work, entry.id, 100, -100, start=2)


async def test_postings_that_race_with_their_entry_are_found_out(units: Units, engine_name: str) -> None:
    if engine_name == "sqlite":
        return  # one writer at a time: there is no such race
    entry = uuid4()

    async def race() -> None:
        async with units.open() as late, units.open() as honest:
            # The late transaction cannot see the entry yet, so the immediate trigger lets it pass.
            await write_postings(late, entry, 50, -50, start=2)
            await write_postings(honest, entry, 100, -100)
            await write_entry(honest, entry, 2)

    with pytest.raises(DBAPIError, match="all its postings"):
        await race()
    async with units.read() as work:
        assert len(await ledger.postings_of(work, entry)) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE postings SET amount = amount * 2",
        "UPDATE postings SET account = 'Assets:Cash'",
        "DELETE FROM postings",
        "UPDATE journal_entries SET description = 'something else'",
        "DELETE FROM journal_entries",
    ],
)
async def test_the_database_refuses_to_change_the_books(units: Units, statement: str) -> None:
    async with units.open() as work:
        await pay(work)

    with pytest.raises(DBAPIError, match="append-only"):
        async with units.open() as work:
            await work.session.execute(text(statement))


async def test_an_entry_cannot_be_replaced(units: Units, engine_name: str) -> None:
    if engine_name == "postgresql":
        return  # PostgreSQL has no INSERT OR REPLACE, and ON CONFLICT DO UPDATE is an UPDATE
    async with units.open() as work:
        entry = await pay(work)

    with pytest.raises(DBAPIError, match="exists"):
        async with units.open() as work:
            await write_entry(work, entry.id, 2, verb="INSERT OR REPLACE")


async def test_the_pool_moves_with_its_postings(units: Units) -> None:
    await fill_pool(units, Money(10_000))
    async with units.open() as work:
        await ledger.post(
            work,
            source="test",
            external_id="gap",
            description="A gap is reserved",
            postings=[debit(POOL, DUES), credit(RESERVED, DUES)],
        )

    async with units.read() as work:
        assert await ledger.balance(work, POOL) == Money(7500)
        assert await ledger.balance(work, RESERVED) == DUES


async def test_the_pool_cannot_be_overspent(units: Units) -> None:
    await fill_pool(units, Money(2499))

    with pytest.raises(ledger.NotEnough):
        async with units.open() as work:
            await ledger.post(
                work,
                source="test",
                external_id="gap",
                description="More than there is",
                postings=[debit(POOL, DUES), credit(RESERVED, DUES)],
            )
    async with units.read() as work:
        assert await ledger.balance(work, POOL) == Money(2499)
        assert await ledger.find(work, "test", "gap") is None


async def test_a_refused_entry_leaves_nothing_in_a_unit_that_goes_on(units: Units) -> None:
    async with units.open() as work:
        with pytest.raises(ledger.NotEnough):
            await ledger.post(
                work,
                source="test",
                external_id="gap",
                description="More than there is",
                postings=[debit(POOL, DUES), credit(RESERVED, DUES)],
            )
        await pay(work)

    async with units.read() as work:
        assert await ledger.find(work, "test", "gap") is None
        assert await ledger.balance(work, RESERVED) == ZERO
        assert await ledger.balance(work, DEFERRED_DUES) == DUES


async def test_the_database_itself_keeps_the_pool_from_falling_below_zero(units: Units) -> None:
    with pytest.raises(DBAPIError):
        async with units.open() as work:
            await work.session.execute(text("UPDATE ledger_balances SET amount = -1"))


async def test_forty_takers_of_four_places_get_four(units: Units) -> None:
    await fill_pool(units, Money(10_000))
    given = 0

    async def ask(number: int) -> None:
        nonlocal given
        async with units.open() as work:
            if not await ledger.take(work, POOL, DUES):
                return
            await ledger.post(
                work,
                source="test",
                external_id=f"place {number}",
                description="A place",
                postings=[debit(POOL, DUES), credit(DEFERRED_DUES, DUES)],
            )
            given += 1

    async with anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(ask, number)

    async with units.read() as work:
        assert await ledger.balance(work, POOL) == ZERO
        assert await ledger.balance(work, DEFERRED_DUES) == Money(10_000)
    assert given == 4
