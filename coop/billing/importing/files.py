"""The files in which other tools list their members: CSV with a header, read row by row, so that size costs no memory."""

import csv
import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from coop.clock import local_date
from coop.errors import Invalid
from coop.identity import addresses
from coop.identity.addresses import BadAddress
from coop.money import Currency, Money

LONGEST_ID = 200
LONGEST_FIELD = 100_000
MOST_ROWS = 1_000_000
CUT_OFF = "Warning: totalCount is"
"""What Open Collective writes below an export that it did not finish."""

Fault = Literal[
    "bad_row", "bad_id", "no_email", "bad_email", "bad_date", "not_yearly", "odd_price", "other_currency",
    "organisation", "not_recurring", "ended",
]  # fmt: skip


class BadMembersFile(Invalid):
    """The file must be CSV in UTF-8 (or UTF-16) whose first line names the columns."""

    code = "bad_members_file"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One membership that another tool kept, or what is wrong with its line."""

    line: int
    """Where it ends in the file; for Stripe, the how-manieth subscription it is."""
    external_id: str = ""
    email: str | None = None
    paid_until: dt.date | None = None
    """The first day that is not paid for."""
    since: dt.date | None = None
    """Its first day of all."""
    subscription: str | None = None
    """The renewal at Stripe that goes on."""
    amount: Money | None = None
    """What that renewal charges."""
    fault: Fault | None = None
    stops: bool = False
    """That renewal ends with the year that is paid for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and for whom a file is read."""

    zone: ZoneInfo
    money: Currency


Fields = Mapping[str, str]
Reader = Callable[[int, Fields, Place], Row | None]


def rows(
    path: Path, place: Place, *, columns: Mapping[str, str], needed: frozenset[str], read: Reader
) -> Iterator[Row]:
    """Give the rows of a file; `columns` says which names in its first line mean what, `needed` which must be there."""
    with path.open(encoding=_encoding(path), newline="") as file:
        reached = 1
        try:
            first = file.readline(LONGEST_FIELD)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(itertools.chain([first], file), delimiter=delimiter, strict=True)
            header = next(reader, [])
            places = _places(header, columns, needed)
            for fields in reader:
                reached = reader.line_num
                if reached > MOST_ROWS:
                    raise BadMembersFile(
                        f"The file has more than {MOST_ROWS:,} lines; split it and import the parts."
                    )
                if any(field.strip() for field in fields):
                    row = _row(reached, fields, header, places, read, place)
                    if row is not None:
                        yield row
        except csv.Error as error:
            raise BadMembersFile(f"After line {reached}, the file cannot be read as CSV: {error}.") from error
        except UnicodeError as error:
            raise BadMembersFile(
                f"After line {reached}, the file is not UTF-8; save it as CSV in UTF-8."
            ) from error


def _row(
    line: int, fields: list[str], header: list[str], places: Mapping[str, int], read: Reader, place: Place
) -> Row | None:
    if len(fields) == 1 and fields[0].startswith(CUT_OFF):
        raise BadMembersFile(
            f"Line {line} says that the export was cut off. Export again with ?fetchAll=1 behind the address."
        )
    if len(fields) != len(header) or any("\0" in field for field in fields):
        return Row(line=line, fault="bad_row")
    return read(line, {name: fields[at].strip() for name, at in places.items()}, place)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"


def _places(header: list[str], columns: Mapping[str, str], needed: frozenset[str]) -> dict[str, int]:
    meant = [columns.get(re.sub(r"[\s_-]+", "_", name.strip().lower())) for name in header]
    places = {name: meant.index(name) for name in set(columns.values()) if name in meant}
    missing = sorted(needed - places.keys())
    if missing:
        raise BadMembersFile(f"The first line names no column {' and no column '.join(missing)}.")
    for name in places:
        if meant.count(name) > 1:
            raise BadMembersFile(f"The first line has two columns that mean {name}; keep one.")
    return places


def address(typed: str) -> tuple[str | None, Fault | None]:
    """Return an address as it is compared, or what is wrong with it."""
    try:
        found = addresses.checked(typed)
    except BadAddress:
        return None, "bad_email"
    return found, None if found else "no_email"


_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)


def day(typed: str, zone: ZoneInfo) -> dt.date:
    """Read a day: 2026-03-31, or an instant with its offset, which is a day in the co-op's zone; ValueError otherwise.

    Days written in another order are refused: 03/04/2026 is two days, and a guess would give somebody a month.
    """
    if _DATE.fullmatch(typed):
        return dt.date.fromisoformat(typed)
    instant = dt.datetime.fromisoformat(typed.replace(" UTC", "+00:00"))
    return instant.date() if instant.tzinfo is None else local_date(instant, zone)
