import itertools
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from coop.money import Money
from coop.sponsorship import impact
from coop.sponsorship.impact import Cell
from tests.till import Till


@given(st.lists(st.integers(0, 25), max_size=24))
def test_no_row_speaks_of_fewer_than_ten_years_and_none_is_counted_twice(counts: list[int]) -> None:
    months = [
        Cell(date(2026 + n // 12, n % 12 + 1, 1), date(2026 + n // 12, n % 12 + 1, 28), many, Money(many))
        for n, many in enumerate(counts)
    ]

    rows = impact.merged(months)

    assert all(row.years >= impact.FEWEST_YEARS for row in rows)
    assert sum(row.years for row in rows) <= sum(counts)
    assert all(row.paid.minor == row.years for row in rows)
    assert all(before.last < after.first for before, after in itertools.pairwise(rows))


async def test_a_month_that_is_not_over_is_not_told_of(till: Till) -> None:
    await till.sponsor(25_000)
    for number in range(10):
        await till.ask(await till.person(f"asker{number}"))
    async with till.units.read() as work:
        assert await impact.cells(work) == []

    till.clock.advance(date(2026, 4, 1) - date(2026, 3, 2))
    async with till.units.read() as work:
        (row,) = await impact.cells(work)

    assert row == Cell(date(2026, 3, 1), date(2026, 3, 31), 10, Money(25_000))
    async with till.visitor() as page:
        assert "$250" in (await page.get("/sponsors")).text
