"""The only module that reads the machine's clock.

There are two times (architecture.md, rule 2). *Wall* time is the machine's: protocols live by it (cookies,
tokens, signatures). *Business* time is wall time plus an offset that the demo can move: terms, motions and
renewals live by it. In production the offset is zero and both are the same.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """Where the time comes from; `coop.unit_of_work` freezes it once for each transaction."""

    movable: bool
    """Whether business time may run ahead; the database then holds by how much."""

    def wall(self) -> datetime:
        """Return the present instant, aware, in UTC."""

    def business(self, wall: datetime, ahead: timedelta) -> datetime:
        """Return the business time at `wall`, when the database says that it runs `ahead`."""


class SystemClock:
    """The machine's clock, which nobody moves."""

    movable = False

    def wall(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the one place that reads the clock

    def business(self, wall: datetime, ahead: timedelta) -> datetime:
        """Return `wall`, moved ahead where a demo may be."""
        return wall + ahead


class MovableClock(SystemClock):
    """The machine's clock with a business offset that is kept in the database (demo, tests)."""

    movable = True


class FixedClock:
    """A clock that stands still until a test moves it; wall and business time start alike."""

    movable = True

    def __init__(self, instant: datetime):
        """Stand at `instant`, which must be aware."""
        self.instant = instant.astimezone(UTC)

    def wall(self) -> datetime:
        """Return the instant at which this clock stands."""
        return self.instant

    def business(self, wall: datetime, ahead: timedelta) -> datetime:
        """Return `wall`, moved ahead."""
        return wall + ahead

    def advance(self, by: timedelta) -> None:
        """Move both times forward by `by`."""
        self.instant += by


class PastClock(SystemClock):
    """Wall time as it is, business time wherever it is put: a demo's past is lived through under it."""

    def __init__(self, instant: datetime):
        """Begin business time at `instant`."""
        self.instant = instant.astimezone(UTC)

    def business(self, wall: datetime, ahead: timedelta) -> datetime:
        """Return the instant at which business time was put."""
        del wall, ahead
        return self.instant


def anniversary(first_day: date, years: int) -> date:
    """Return the `years`-th anniversary of `first_day`, never by chaining.

    29 February 2028 has its anniversaries on 28 February 2029, 2030, 2031 and on 29 February 2032.
    """
    year = first_day.year + years
    try:
        return first_day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def month_anniversary(first_day: date, months: int) -> date:
    """Return the same day `months` later, clipped to the month's last day: 31 January + 1 is 28 or 29 February."""
    index = first_day.year * 12 + first_day.month - 1 + months
    year, month = divmod(index, 12)
    day = first_day.day
    while True:
        try:
            return date(year, month + 1, day)
        except ValueError:
            day -= 1


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, at which `day` begins in the co-op's time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """Return the calendar day of `instant` in the co-op's time zone."""
    return instant.astimezone(zone).date()
