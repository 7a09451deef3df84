import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import jsonschema
import msgspec
import pytest
from sqlalchemy import text

from coop import ledger, policies
from coop.ledger import BANK, DEFERRED_DUES, FEES, POOL, STRIPE, STRIPE_PENDING, checks, credit, debit, sealer
from coop.money import Money
from coop.policies import Dues
from coop.unit_of_work import UnitOfWork, Units
from tests.cooperative import found

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "books-check.schema.json"


async def trade(units: Units) -> None:
    """Book a sponsor, a year and its fee."""
    await found(units)
    async with units.open() as work:
        dues = await policies.in_force(work, Dues)
        for description, postings in (
            ("A sponsor gives", [debit(STRIPE_PENDING, Money(10_000)), credit(POOL, Money(10_000))]),
            ("A year", [debit(STRIPE_PENDING, Money(2500)), credit(DEFERRED_DUES, Money(2500))]),
            (
                "Its fee",
                [debit(STRIPE, Money(2397)), debit(FEES, Money(103)), credit(STRIPE_PENDING, Money(2500))],
            ),
        ):
            await ledger.post(
                work,
                source="test",
                external_id=uuid4().hex,
                description=description,
                postings=postings,
                policy_version=dues.id,
            )


async def report(units: Units) -> checks.Report:
    async with units.snapshot() as work:
        return await checks.run(work)


def failed(found: checks.Report) -> set[str]:
    return {check.name for check in found.checks if not check.ok}


async def test_empty_books_are_in_order(units: Units) -> None:
    assert (await report(units)).ok


async def test_honest_books_are_in_order_and_show_their_sums(units: Units) -> None:
    await trade(units)

    found = await report(units)

    assert found.ok
    assert found.sums == {
        "Assets:Stripe": 2397,
        "Assets:StripePending": 10_000,
        "Expenses:Fees": 103,
        "Liabilities:DeferredDues": 2500,
        "Liabilities:Pool": 10_000,
    }
    assert (found.debits, found.credits) == (15_000, 15_000)
    assert (found.entries, found.postings) == (3, 7)


async def test_the_fees_that_operations_advanced_are_told(units: Units) -> None:
    await trade(units)

    cover = (await report(units)).cover

    assert cover == checks.Cover(money=12_397, owed=12_500, refundable=2500, advanced=103)


async def unlock(work: UnitOfWork, table: str) -> None:
    """Take the append-only rule away, as somebody with the whole database in their hands could."""
    if work.session.get_bind().dialect.name == "sqlite":
        await work.session.execute(text(f"DROP TRIGGER {table}_no_update"))
    else:
        await work.session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))


async def change_a_sum(work: UnitOfWork) -> None:
    await unlock(work, "postings")
    await work.session.execute(text("UPDATE postings SET amount = 9999 WHERE amount = 10000"))


async def drain_the_pools_row(work: UnitOfWork) -> None:
    await work.session.execute(text("UPDATE ledger_balances SET amount = 0"))


async def rename_a_ledger_account(work: UnitOfWork) -> None:
    await unlock(work, "postings")
    await work.session.execute(
        text("UPDATE postings SET account = 'Assets:Mattress' WHERE account = 'Assets:Stripe'")
    )


async def forget_the_policy(work: UnitOfWork) -> None:
    await unlock(work, "journal_entries")
    await work.session.execute(text("UPDATE journal_entries SET policy_version = NULL"))


async def reword_a_sealed_entry(work: UnitOfWork) -> None:
    await sealer.seal(work)
    await unlock(work, "journal_entries")
    await work.session.execute(text("UPDATE journal_entries SET description = 'Nothing to see here'"))


async def take_the_money_away(work: UnitOfWork) -> None:
    """Move the sponsor's money out of every purse, into a claim that nobody will ever pay."""
    await ledger.post(
        work,
        source="test",
        external_id="theft",
        description="A loan",
        postings=[debit(ledger.INSTALMENTS_DUE, Money(10_000)), credit(STRIPE_PENDING, Money(10_000))],
    )


@pytest.mark.parametrize(
    ("tamper", "rule"),
    [
        (change_a_sum, "trial_balance"),
        (change_a_sum, "entries_balance"),
        (drain_the_pools_row, "balance_rows"),
        (rename_a_ledger_account, "known_accounts"),
        (forget_the_policy, "policy_named"),
        (reword_a_sealed_entry, "chain"),
        (take_the_money_away, "cover"),
    ],
)
async def test_tampered_books_are_found_out(
    units: Units, tamper: Callable[[UnitOfWork], Awaitable[None]], rule: str
) -> None:
    await trade(units)
    async with units.open() as work:
        await tamper(work)

    found = await report(units)

    assert not found.ok
    assert rule in failed(found)


async def test_owing_less_than_nothing_is_found_out(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        await ledger.post(
            work,
            source="test",
            external_id="1",
            description="A payout that nobody earned",
            postings=[debit(ledger.network_payable("forum"), Money(500)), credit(BANK, Money(500))],
        )

    assert "nothing_overdrawn" in failed(await report(units))


async def test_the_report_tells_how_far_the_seals_lag_behind(units: Units) -> None:
    await trade(units)
    assert (await report(units)).chain == checks.Chain(length=0, lag=3, head=None)

    assert await sealer.seal_due(units) == 3

    chain = (await report(units)).chain
    assert (chain.length, chain.lag) == (3, 0)
    assert chain.head is not None


async def test_sealing_again_changes_nothing(units: Units) -> None:
    await trade(units)
    await sealer.seal_due(units)
    before = (await report(units)).chain

    assert await sealer.seal_due(units) == 0
    assert (await report(units)).chain == before


async def test_the_printed_report_keeps_to_its_published_schema(units: Units) -> None:
    await trade(units)

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))

    assert schema == json.loads(checks.schema())
    jsonschema.validate(json.loads(msgspec.json.encode(await report(units))), schema)
