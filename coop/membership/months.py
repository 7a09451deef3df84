"""Months, as coarse as others may know a membership's end."""

from datetime import date, timedelta

_LONGEST = 31


def last_of_month(day: date) -> date:
    """Return the last day of the month of `day`."""
    return (day.replace(day=1) + timedelta(days=_LONGEST)).replace(day=1) - timedelta(days=1)
