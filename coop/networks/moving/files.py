"""The file in which a network lists its accounts: CSV with a header, read within bounds, or refused with the line."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from coop.errors import Invalid, Sentence
from coop.identity import addresses
from coop.identity.addresses import BadAddress

LARGEST = 20_000_000
"""Bytes."""
MOST_ROWS = 100_000

_COLUMNS = {
    "handle": "handle",
    "username": "handle",
    "email": "email",
    "e-mail": "email",
    "mail": "email",
    "external_id": "external_id",
    "id": "external_id",
}


class BadAccountsFile(Invalid):
    """The file must be CSV in UTF-8, with a first line that names a handle column and, if you have them, email and external_id."""

    code = "bad_accounts_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One account as the file has it; what a column that is not there would say is None."""

    line: int
    """The line of the file on which the row ends."""
    handle: str
    email: str | None = None
    """An address as it is compared, or nothing where there is none that can be used."""
    external_id: str | None = None
    says_email: bool = False
    """Whether the file has a column of addresses at all; an empty field takes back what an earlier file said."""
    bad_email: bool = False
    misshapen: bool = False
    """The row has more or fewer fields than the header."""


def read(content: bytes) -> list[Row]:
    """Return the accounts in `content`; columns that are not asked for are not looked at."""
    if len(content) > LARGEST:
        raise BadAccountsFile(
            Sentence(
                "The file is larger than %(most)s MB; split it and import the parts.",
                most=LARGEST // 1_000_000,
            )
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadAccountsFile(
            Sentence("Line %(line)s is not UTF-8; save the file as CSV in UTF-8.", line=line)
        ) from error
    if "\0" in text:
        raise BadAccountsFile(
            Sentence(
                "Line %(line)s contains a NUL character.", line=text.count("\n", 0, text.index("\0")) + 1
            )
        )
    return list(_rows(text))


def _rows(text: str) -> Iterator[Row]:
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        places = _places(header)
        count = 0
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            count += 1
            if count > MOST_ROWS:
                raise BadAccountsFile(
                    Sentence(
                        "The file has more than %(most)s accounts; split it and import the parts.",
                        most=MOST_ROWS,
                    )
                )
            yield _row(reader.line_num, fields, places, misshapen=len(fields) != len(header))
    except csv.Error as error:
        raise BadAccountsFile(
            Sentence("Line %(line)s cannot be read as CSV: %(error)s.", line=reader.line_num, error=error)
        ) from error


def _places(header: list[str]) -> dict[str, int]:
    """Return where the columns are that are asked for."""
    meant = [_COLUMNS.get(name.strip().lower()) for name in header]
    places = {name: meant.index(name) for name in _COLUMNS.values() if name in meant}
    if "handle" not in places:
        raise BadAccountsFile
    for name in places:
        if meant.count(name) > 1:
            raise BadAccountsFile(
                Sentence("The first line has two columns that mean %(name)s; keep one.", name=name)
            )
    return places


def _row(line: int, fields: list[str], places: dict[str, int], *, misshapen: bool) -> Row:
    def field(name: str) -> str:
        place = places.get(name)
        return fields[place].strip() if place is not None and place < len(fields) else ""

    handle = field("handle").removeprefix("@")
    try:
        email, bad_email = addresses.checked(field("email")), False
    except BadAddress:
        email, bad_email = None, True
    return Row(
        line=line,
        handle=handle,
        email=email,
        external_id=field("external_id") or None,
        says_email="email" in places,
        bad_email=bad_email,
        misshapen=misshapen,
    )
