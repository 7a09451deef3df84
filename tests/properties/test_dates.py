from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from coop.clock import anniversary, local_date, midnight, month_anniversary
from coop.membership.months import last_of_month

days = st.dates(date(1990, 1, 1), date(2190, 12, 31))
years = st.integers(0, 80)
# Fourteen hours ahead, eleven behind, half and quarter hours, and those that change their clocks at midnight itself.
zones = st.sampled_from(
    [
        "UTC",
        "Pacific/Kiritimati",
        "Pacific/Pago_Pago",
        "Asia/Kathmandu",
        "Europe/Warsaw",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Beirut",
        "Australia/Lord_Howe",
    ]
).map(ZoneInfo)


@given(days, years)
def test_an_anniversary_is_the_same_day_or_the_last_of_february(day: date, count: int) -> None:
    found = anniversary(day, count)

    assert (found.year, found.month) == (day.year + count, day.month)
    assert found.day == day.day or ((day.month, day.day) == (2, 29) and found.day == 28)


@given(days, years)
def test_anniversaries_are_in_order_and_never_drift(day: date, count: int) -> None:
    here, following = anniversary(day, count), anniversary(day, count + 1)

    assert timedelta(days=365) <= following - here <= timedelta(days=366)


@given(days, st.integers(-600, 600))
def test_a_month_later_is_in_the_month_that_follows(day: date, months: int) -> None:
    found = month_anniversary(day, months)

    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == months
    assert found.day <= day.day


@given(days, zones)
def test_a_day_begins_on_itself_wherever_the_cooperative_is(day: date, zone: ZoneInfo) -> None:
    assert local_date(midnight(day, zone), zone) == day


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), years, zones)  # noqa: DTZ001 - made aware below
def test_a_year_that_begins_with_its_day_covers_the_moment_of_joining(
    joined: datetime, count: int, zone: ZoneInfo
) -> None:
    now = joined.replace(tzinfo=UTC)
    first = local_date(now, zone)

    begins, ends = midnight(first, zone), midnight(anniversary(first, count + 1), zone)

    assert begins <= now < ends
    assert now - begins <= timedelta(hours=25)


@given(days)
def test_the_last_of_a_month_is_the_day_before_the_first_of_the_next(day: date) -> None:
    last = last_of_month(day)

    assert (last.year, last.month) == (day.year, day.month)
    assert (last + timedelta(days=1)).day == 1
