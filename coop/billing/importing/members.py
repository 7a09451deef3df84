"""A cooperative's own list of members: a CSV file with an address and the day until which each has paid."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from coop.billing.importing import files
from coop.billing.importing.files import Fields, Place, Row

COLUMNS = {
    "email": "email",
    "e_mail": "email",
    "mail": "email",
    "paid_until": "paid_until",
    "renews": "paid_until",
    "next_payment_date": "paid_until",
    "paid_through": "paid_through",
    "since": "since",
    "member_since": "since",
    "joined": "since",
    "id": "id",
    "member_id": "id",
    "external_id": "id",
}
SOURCE = "csv"


def read(path: Path, place: Place) -> Iterator[Row]:
    """Give the members in a file."""
    return files.rows(path, place, columns=COLUMNS, needed=frozenset({"email"}), read=_row)


def _row(line: int, fields: Fields, place: Place) -> Row:
    email, fault = files.address(fields["email"])
    if fault is not None:
        return Row(line=line, fault=fault)
    try:
        since = files.day(fields["since"], place.zone) if fields.get("since") else None
        if fields.get("paid_until"):
            paid_until = files.day(fields["paid_until"], place.zone)
        else:
            # The last day that is paid for, hence the next one is not.
            paid_until = files.day(fields.get("paid_through", ""), place.zone) + dt.timedelta(days=1)
    except (ValueError, OverflowError):
        return Row(line=line, email=email, fault="bad_date")
    return Row(line=line, external_id=fields.get("id", ""), email=email, paid_until=paid_until, since=since)
