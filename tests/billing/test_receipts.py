import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from coop.billing import receipts, refunds, withdrawal
from coop.billing.payments import Payment
from coop.billing.receipts import Receipt
from coop.billing.refunds import Refund
from tests.till import Till


async def issued(till: Till) -> list[Receipt]:
    await receipts.issue_due(till.units)
    async with till.units.read() as work:
        return list(await work.session.scalars(select(Receipt).order_by(Receipt.kind, Receipt.number)))


async def test_a_receipt_says_what_the_journal_says(till: Till) -> None:
    await till.sponsor(5000)
    ada = await till.person()
    await till.pay(ada, 1000)
    bo = await till.person("bo")
    await till.pay(bo, 4000)

    said = {
        one.said.amount: {line.what: line.amount for line in one.said.lines} for one in await issued(till)
    }

    assert said == {
        5000: {"to_pool": 5000},
        1000: {"dues": 2500, "pool_part": -1500},
        4000: {"dues": 2500, "to_pool": 1500},
    }


async def test_numbers_have_no_gaps_and_begin_anew_each_year(till: Till) -> None:
    for handle in ("ada", "bo", "cy"):
        await till.pay(await till.person(handle))
    await issued(till)
    till.clock.advance(timedelta(days=320))
    await till.pay(await till.person("dee"))

    assert [one.name for one in await issued(till)] == [
        "2026-000001",
        "2027-000001",
        "2026-000002",
        "2026-000003",
    ]


async def test_ten_at_once_issue_each_receipt_once(till: Till) -> None:
    for handle in ("ada", "bo", "cy"):
        await till.pay(await till.person(handle))

    await asyncio.gather(*(receipts.issue_due(till.units) for _ in range(10)))

    assert [one.number for one in await issued(till)] == [1, 2, 3]


async def test_what_is_given_back_gets_a_credit_note_of_its_own(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)
    await withdrawal.withdraw(till.units, till.gateway, account_id=ada.id, key="withdraw-once")
    await refunds.send_due(till.units, till.gateway)
    assert await till.count(Refund, Refund.state == "sent") == 1

    note, receipt = await issued(till)

    assert (note.name, note.said.of, note.said.amount) == ("C2026-000001", receipt.name, 2500)
    assert receipt.said.amount == 2500


async def test_the_database_refuses_gaps_changes_and_removal(till: Till) -> None:
    await till.pay(await till.person())
    (receipt,) = await issued(till)

    for statement in (
        update(Receipt).where(Receipt.id == receipt.id).values(document="{}"),
        delete(Receipt).where(Receipt.id == receipt.id),
    ):
        with pytest.raises(IntegrityError):
            async with till.units.open() as work:
                await work.session.execute(statement)
    await till.pay(await till.person("bo"))
    async with till.units.read() as work:
        other = await work.session.scalar(select(Payment.id).where(Payment.id != receipt.payment_id))
    assert other is not None
    with pytest.raises(IntegrityError, match="without gaps"):
        async with till.units.open() as work:
            work.session.add(
                Receipt(
                    kind="receipt",
                    year=2026,
                    number=3,
                    payment_id=other,
                    issued_at=work.now,
                    document=receipt.document,
                )
            )
