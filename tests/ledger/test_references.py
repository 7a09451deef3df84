from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from coop.ledger import references
from coop.unit_of_work import Units


async def test_a_person_keeps_one_reference_that_is_not_their_account(units: Units) -> None:
    account = uuid4()
    async with units.open() as work:
        first = await references.of(work, account)
        again = await references.of(work, account)

    assert first == again != account


async def test_resolving_a_reference_needs_a_reason_and_leaves_a_trace(units: Units) -> None:
    account, treasurer = uuid4(), uuid4()
    async with units.open() as work:
        reference = await references.of(work, account)
        with pytest.raises(references.NoReason):
            await references.resolve(work, reference, by=treasurer, reason="  ")
        assert await references.resolve(work, reference, by=treasurer, reason="Refund asked for") == account

    async with units.read() as work:
        (lookup,) = await references.lookups(work, account)
    assert (lookup.by, lookup.reason) == (treasurer, "Refund asked for")


async def test_an_erased_person_cannot_be_found_again(units: Units) -> None:
    account = uuid4()
    async with units.open() as work:
        reference = await references.of(work, account)
        await references.erase(work, account)

        assert await references.resolve(work, reference, by=uuid4(), reason="Looking") is None
        assert await references.of(work, account) != reference


async def test_lookups_cannot_be_hidden(units: Units) -> None:
    async with units.open() as work:
        await references.resolve(work, uuid4(), by=uuid4(), reason="Curious")

    with pytest.raises(DBAPIError, match="append-only"):
        async with units.open() as work:
            await work.session.execute(text("DELETE FROM reference_lookups"))
