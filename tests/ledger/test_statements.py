import io
import json
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coop.ledger import (
    CASH,
    DEFERRED_DUES,
    HOSTING,
    POOL,
    STRIPE_PENDING,
    checks,
    credit,
    debit,
    publication,
    statements,
    trial_balance,
)
from coop.ledger.statements import Movement, Period, Runway, Statement, merged
from coop.money import ZERO, Money
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.cooperative import found
from tests.ledger.oracle import bean_check
from tests.ledger.trade import book, three_months, year


async def publish(units: Units) -> Statement:
    async with units.snapshot() as work:
        return await statements.publish(work)


async def test_published_periods_add_up_to_the_ledger(units: Units) -> None:
    await three_months(units)

    statement = await publish(units)

    async with units.read() as work:
        sums = await trial_balance(work)
    assert sums == {
        name: sum(
            (
                p.movements[name].debits - p.movements[name].credits
                for p in statement.periods
                if name in p.movements
            ),
            ZERO,
        )
        for name in sums
    }


async def test_both_sides_of_the_position_are_equal(units: Units) -> None:
    await three_months(units)

    statement = await publish(units)

    owned = statement.total("Liabilities:") + statement.total("Equity:") + statement.result
    assert statement.total("Assets:") == owned != ZERO


async def test_a_month_with_few_years_is_joined_with_the_next(units: Units) -> None:
    await three_months(units)

    periods = (await publish(units)).periods

    assert [(period.key, period.last, period.terms) for period in periods] == [
        ("2026-01", date(2026, 1, 31), 12),
        ("2026-02", date(2026, 3, 2), 13),
    ]


async def test_fewer_than_ten_years_in_all_give_no_period(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        for _ in range(9):
            await year(work, date(2026, 3, 1))

    statement = await publish(units)

    assert statement.periods == []
    assert statement.balances[DEFERRED_DUES] == Money(9 * 2500)


async def test_what_is_only_reserved_has_not_left_the_pool(units: Units) -> None:
    await three_months(units)

    first = (await publish(units)).periods[0]

    # Of twelve years four were paid with 15 too much, four exactly, four with 15 too little.
    assert (first.pool_in, first.pool_out) == (Money(6000), Money(6000))


async def test_income_and_costs_of_a_period_are_its_own(units: Units) -> None:
    await three_months(units)

    first = (await publish(units)).periods[0]

    assert first.income == Money(300)
    assert first.costs == Money(777 + 12 * 103)
    assert first.networks_earned == Money(600)
    assert first.dues == Money(12 * 2500)


async def test_the_runway_is_told_at_the_pace_of_three_whole_months(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        await book(
            work, date(2026, 1, 5), "A sponsor", debit(CASH, Money(10_000)), credit(POOL, Money(10_000))
        )
        for day in (
            date(2025, 11, 30),
            date(2025, 12, 1),
            date(2026, 1, 31),
            date(2026, 2, 28),
            date(2026, 3, 1),
        ):
            await book(work, day, "Hosting", debit(HOSTING, Money(300)), credit(CASH, Money(300)))

    statement = await publish(units)

    assert statement.runway == Runway(Money(-1500), Money(300))
    assert statement.runway.months == 0
    assert statement.pool_runway == Runway(Money(10_000), ZERO)
    assert statement.pool_runway.months is None


@pytest.mark.parametrize(
    ("gifts", "concentrated"), [((100, 100, 100, 100), False), ((100, 100, 100, 101), True)]
)
async def test_a_source_of_more_than_a_quarter_is_told_of(
    units: Units,
    gifts: tuple[int, ...],
    concentrated: bool,  # noqa: FBT001 - a table's column
) -> None:
    await found(units)
    async with units.open() as work:
        for gift in gifts:
            await book(
                work,
                date(2026, 2, 1),
                "A gift",
                debit(STRIPE_PENDING, Money(gift)),
                credit(POOL, Money(gift)),
                person=uuid4(),
            )

    assert (await publish(units)).concentrated is concentrated


async def test_bean_check_accepts_the_published_totals(
    units: Units, settings: Settings, tmp_path: Path
) -> None:
    await three_months(units)
    text = publication.as_beancount(await publish(units), settings)

    checked = bean_check(text, tmp_path / "published.beancount")

    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_the_published_file_agrees_with_the_books_check(units: Units, settings: Settings) -> None:
    await three_months(units)
    published = json.loads(publication.as_json(await publish(units), settings))
    async with units.snapshot() as work:
        report = await checks.run(work)

    assert report.ok, report.checks
    assert published["balances"] == report.sums


async def test_the_published_csv_names_no_person_and_balances(units: Units, settings: Settings) -> None:
    await three_months(units)

    text = publication.as_csv(await publish(units), settings)

    lines = [line.split(",") for line in io.StringIO(text).read().splitlines()[1:]]
    assert sum(float(line[4]) for line in lines) == pytest.approx(sum(float(line[5]) for line in lines))


def month(number: int, terms: int) -> Period:
    first = date(2026 + number // 12, number % 12 + 1, 1)
    moved = {CASH: Movement(Money(terms), ZERO), POOL: Movement(ZERO, Money(terms))}
    return Period(first=first, last=first, terms=terms, pool_in=ZERO, pool_out=ZERO, movements=moved)


@given(st.lists(st.integers(min_value=0, max_value=30), max_size=24))
def test_merging_hides_small_months_and_loses_nothing(counts: list[int]) -> None:
    periods = merged([month(number, terms) for number, terms in enumerate(counts)], whole=True)

    assert all(period.terms >= statements.FEWEST_TERMS for period in periods)
    if sum(counts) >= statements.FEWEST_TERMS:
        assert sum(period.terms for period in periods) == sum(counts)
        assert sum(period.movements[CASH].debits.minor for period in periods) == sum(counts)
    else:
        assert periods == []
