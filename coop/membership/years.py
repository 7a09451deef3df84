"""Years: which days the next one has, from the one before it; pure, so that one and a thousand are reckoned alike."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from coop.clock import anniversary, local_date, midnight
from coop.errors import Refused


class AlreadyRenewed(Refused):
    """The next year is granted already."""

    code = "already_renewed"


class Last(msgspec.Struct, frozen=True):
    """The newest year of an account that was not given back before it began."""

    first_day: date
    year: int
    begins: datetime
    ends: datetime
    grace_until: datetime
    ended_early_at: datetime | None


@dataclass(frozen=True, slots=True)
class Year:
    """A year as it can be granted."""

    first_day: date
    """The day from which this unbroken membership counts its anniversaries."""
    year: int
    begins: datetime
    ends: datetime
    grace_until: datetime
    after: date
    """The first day that is not in it."""


def following(last: Last | None, *, now: datetime, zone: ZoneInfo, grace_days: int) -> Year:
    """Return the first year, the next (from the old end, in grace, too), or a new first one after a lapse."""
    if last is not None and last.begins > now:
        raise AlreadyRenewed
    if last is not None and last.ended_early_at is None and now < last.grace_until:
        return year_of(last.first_day, last.year + 1, last.ends, zone, grace_days)
    begins = midnight(local_date(now, zone), zone)
    if last is not None:
        # Who stops and comes back on one day has two terms that meet within it; one that ends later comes first.
        begins = max(begins, last.ended_early_at or last.ends)
    return year_of(local_date(begins, zone), 1, begins, zone, grace_days)


# Many members began on one day.
@lru_cache(maxsize=1024)
def year_of(first_day: date, year: int, begins: datetime, zone: ZoneInfo, grace_days: int) -> Year:
    """Return the `year`-th year since `first_day`, which begins at `begins`."""
    after = anniversary(first_day, year)
    return Year(
        first_day=first_day,
        year=year,
        begins=begins,
        ends=midnight(after, zone),
        grace_until=midnight(after + timedelta(days=grace_days), zone),
        after=after,
    )
