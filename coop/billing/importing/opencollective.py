"""Open Collective's exports: contributors.csv, which says how often each person gives, or the older members.csv.

Their columns are those of the platform's REST service (opencollective-rest, controllers account-contributors and
members). What was given last covers a year or a month from that day.
"""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from coop.billing.importing import files
from coop.billing.importing.files import BadMembersFile, Fields, Place, Row
from coop.clock import anniversary, month_anniversary

SOURCE = "opencollective"
Every = Literal["year", "month"]
FREQUENCIES: dict[str, Every] = {"yearly": "year", "monthly": "month"}
COLUMNS = {
    "contributorurl": "profile",
    "contributortype": "type",
    "activerecurringcontribution": "active",
    "activerecurringcontributionfrequency": "frequency",
    "firstcontributiondate": "first",
    "latestcontributiondate": "latest",
    "email": "email",
    "profile": "profile",
    "type": "type",
    "role": "role",
    "isactive": "active",
    "createdat": "first",
    "lasttransactionat": "latest",
}


def read(path: Path, place: Place, *, every: Every | None = None) -> Iterator[Row]:
    """Give the contributors in an export; `every` says how often those of members.csv give, which it does not."""
    needed = frozenset({"profile", "email", "latest", "active"})
    return files.rows(path, place, columns=COLUMNS, needed=needed, read=partial(_row, every=every))


def _row(line: int, fields: Fields, place: Place, *, every: Every | None) -> Row | None:
    # Those who follow or run a collective are in members.csv, too.
    if fields.get("role", "BACKER").upper() not in {"BACKER", "MEMBER", ""}:
        return None
    slug = fields["profile"].rstrip("/").rpartition("/")[2].lower()
    if fields.get("type", "").upper() not in {"USER", "INDIVIDUAL", ""}:
        return Row(line=line, external_id=slug, fault="organisation")
    rhythm = FREQUENCIES.get(fields.get("frequency", "").lower()) or every
    if "frequency" not in fields and rhythm is None:
        raise BadMembersFile(
            "This export does not say how often people give. Take contributors.csv, or say --every year or month."
        )
    if fields["active"].lower() not in {"yes", "true"} or rhythm is None:
        return Row(line=line, external_id=slug, fault="not_recurring")
    email, fault = files.address(fields["email"])
    if fault is not None:
        return Row(line=line, external_id=slug, fault=fault)
    try:
        latest = files.day(fields["latest"], place.zone)
        first = files.day(fields["first"], place.zone) if fields.get("first") else None
        paid_until = _next(first, latest, rhythm)
    except (ValueError, OverflowError):
        return Row(line=line, external_id=slug, email=email, fault="bad_date")
    return Row(line=line, external_id=slug, email=email, paid_until=paid_until, since=first)


def _next(first: dt.date | None, latest: dt.date, rhythm: Every) -> dt.date:
    if rhythm == "year":
        # From the first day, as far as that fits: 29 February comes back.
        years = 0 if first is None else latest.year - first.year
        if first is not None and anniversary(first, years) == latest:
            return anniversary(first, years + 1)
        return anniversary(latest, 1)
    return month_anniversary(latest, 1)
