from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from coop.clock import anniversary, local_date, midnight, month_anniversary


@pytest.mark.parametrize(
    ("years", "expected"),
    [(1, date(2029, 2, 28)), (2, date(2030, 2, 28)), (3, date(2031, 2, 28)), (4, date(2032, 2, 29))],
)
def test_a_leap_day_comes_back(years: int, expected: date) -> None:
    assert anniversary(date(2028, 2, 29), years) == expected


@pytest.mark.parametrize(
    ("months", "expected"),
    [
        (1, date(2026, 2, 28)),
        (2, date(2026, 3, 31)),
        (3, date(2026, 4, 30)),
        (12, date(2027, 1, 31)),
        (25, date(2028, 2, 29)),
    ],
)
def test_the_31st_is_clipped_but_not_chained(months: int, expected: date) -> None:
    assert month_anniversary(date(2026, 1, 31), months) == expected


def test_a_day_begins_where_the_cooperative_is() -> None:
    kiritimati = ZoneInfo("Pacific/Kiritimati")

    assert midnight(date(2026, 1, 1), kiritimati) == datetime(2025, 12, 31, 10, tzinfo=UTC)
    assert local_date(datetime(2025, 12, 31, 10, tzinfo=UTC), kiritimati) == date(2026, 1, 1)


def test_days_with_a_clock_change_begin_at_midnight() -> None:
    warsaw = ZoneInfo("Europe/Warsaw")

    assert midnight(date(2026, 3, 29), warsaw) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert midnight(date(2026, 3, 30), warsaw) == datetime(2026, 3, 29, 22, tzinfo=UTC)
