"""Bank statements as CSV: found columns, exact figures, any of the usual encodings; a line that cannot be read is named.

Only what came in is returned. What went out, and what is in another currency, is counted and left to the treasurer.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from coop.billing.offline import figures
from coop.billing.offline.figures import DayOrder, DecimalMark, UnreadableFigure
from coop.errors import Invalid, Sentence
from coop.money import ZERO, Currency, Money

LARGEST = 20_000_000
"""Bytes."""
MOST_LINES = 100_000
_PREAMBLE = 40
"""Banks write so many lines above the header at most."""

Preset = Literal["generic", "camt"]

# What a column may be called; the first name that the file has is taken. All in small letters.
_GENERIC: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "transaction id", "transaction_id", "bank transaction id", "identyfikator transakcji"),
    "day": (
        "date",
        "booking date",
        "booked",
        "value date",
        "data",
        "data księgowania",
        "data operacji",
        "date opération",
    ),
    "amount": ("amount", "credit", "kwota", "kwota operacji", "montant"),
    "currency": ("currency", "waluta", "devise"),
    "text": (
        "text",
        "description",
        "remittance",
        "reference",
        "details",
        "tytuł",
        "tytuł operacji",
        "opis",
        "libellé",
    ),
    "payer": ("payer", "name", "sender", "counterparty", "nadawca", "kontrahent", "émetteur"),
    "account": (
        "payer account",
        "payer_account",
        "iban",
        "account",
        "rachunek nadawcy",
        "nr konta",
        "compte",
    ),
    "mark": ("credit/debit", "type"),
}
# The fields of ISO 20022 camt.053 as banks flatten them, in English and as German banks ("CSV-CAMT") do.
_CAMT: Mapping[str, tuple[str, ...]] = {
    "id": ("account servicer reference", "acctsvcrref", "transaction id", "bank reference"),
    "day": ("booking date", "bookgdt", "buchungstag"),
    "amount": ("amount", "amt", "betrag"),
    "currency": ("currency", "ccy", "waehrung", "währung"),
    "text": ("remittance information", "unstructured remittance information", "ustrd", "verwendungszweck"),
    "reference": ("creditor reference", "structured remittance information", "strd", "cdtrref"),
    "payer": (
        "debtor name",
        "debtor",
        "dbtr",
        "beguenstigter/zahlungspflichtiger",
        "name zahlungsbeteiligter",
    ),
    "account": ("debtor iban", "debtor account", "dbtracct", "kontonummer/iban", "iban zahlungsbeteiligter"),
    "mark": ("credit/debit", "credit debit indicator", "cdtdbtind"),
    "state": ("status", "sts", "info"),
}
PRESETS: Mapping[Preset, Mapping[str, tuple[str, ...]]] = {"generic": _GENERIC, "camt": _CAMT}
_DEBIT = {"dbit", "debit", "d", "s", "soll"}
_PENDING = {"pdng", "pending", "umsatz vorgemerkt"}
_LENGTHS = {"text": 500, "payer": 140, "account": 64}


class BadStatement(Invalid):
    """The file must be CSV with a header that names at least the columns of the day and the amount."""

    code = "bad_statement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One credit on the bank account."""

    line: int
    """The line of the file on which it ends."""
    key: str
    """By what a second import knows it again: the bank's identifier, else the content and which of its equals it is."""
    content: str
    """A digest of all that the line says."""
    booked_on: date
    amount: Money
    text: str
    payer: str
    account: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Statement:
    """What a file says: its credits, and what was left out with the reason."""

    lines: list[Line] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    """Lines that cannot be read, and why."""
    debits: int = 0
    foreign: list[int] = field(default_factory=list)
    """Lines in another currency."""
    pending: int = 0


def read(
    content: bytes,
    currency: Currency,
    *,
    preset: Preset = "generic",
    encoding: str | None = None,
    decimal: DecimalMark = "auto",
    dates: DayOrder = "auto",
) -> Statement:
    """Read a statement; raise `BadStatement` where it cannot be understood as a whole."""
    if len(content) > LARGEST:
        raise BadStatement(
            Sentence(
                "The file is larger than %(most)s MB; split it and import the parts.",
                most=LARGEST // 1_000_000,
            )
        )
    text = _decoded(content, encoding)
    if "\0" in text:
        raise BadStatement("The file contains a NUL character, so it is no CSV.")
    statement = Statement()
    seen: Counter[str] = Counter()
    try:
        for line, cells in _rows(text, PRESETS[preset]):
            try:
                _take(statement, seen, line, cells, currency, decimal, dates)
            except UnreadableFigure as error:
                statement.faults.append((line, error.message))
    except csv.Error as error:
        raise BadStatement(Sentence("The file cannot be read as CSV: %(error)s.", error=error)) from error
    return statement


def _decoded(content: bytes, encoding: str | None) -> str:
    """Decode by the mark at the beginning, as UTF-8, or as what old bank programs write."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    for name in (encoding,) if encoding else ("utf-8-sig", "cp1252", "iso-8859-1"):
        try:
            return content.decode(name)
        except LookupError as error:
            raise BadStatement(
                Sentence("There is no encoding “%(name)s”; try utf-8 or windows-1250.", name=name)
            ) from error
        except UnicodeError as error:
            if encoding:
                raise BadStatement(Sentence("The file is not written in %(name)s.", name=name)) from error
    raise BadStatement


def _rows(text: str, names: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row below the header as a mapping from what we look for to what stands there."""
    head = "\n".join(text.splitlines()[:_PREAMBLE])
    delimiter = max(";,\t|", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    places: dict[str, int] = {}
    count = 0
    for cells in reader:
        if not places:
            places = _places(cells, names)
            if not places and reader.line_num > _PREAMBLE:
                break
        elif any(cell.strip() for cell in cells):
            count += 1
            if count > MOST_LINES:
                raise BadStatement(
                    Sentence(
                        "The file has more than %(most)s lines; split it and import the parts.",
                        most=MOST_LINES,
                    )
                )
            yield (
                reader.line_num,
                {name: " ".join(cells[at].split()) for name, at in places.items() if at < len(cells)},
            )
    if not places:
        raise BadStatement


def _places(cells: list[str], names: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    header = [" ".join(cell.split()).lower() for cell in cells]
    places = {
        name: header.index(called)
        for name, calls in names.items()
        if (called := next((call for call in calls if call in header), None)) is not None
    }
    return places if {"day", "amount"} <= places.keys() else {}


def _take(
    statement: Statement,
    seen: Counter[str],
    line: int,
    cells: Mapping[str, str],
    currency: Currency,
    decimal: DecimalMark,
    dates: DayOrder,
) -> None:
    if cells.get("state", "").lower() in _PENDING:
        # It may never be booked, and comes again under another name when it is.
        statement.pending += 1
        return
    if cells.get("currency", currency.code).lower() not in {currency.code, ""}:
        statement.foreign.append(line)
        return
    # With a column for each direction, the one of credits is empty where money went out.
    written = cells.get("amount", "")
    amount = figures.amount(written, currency, decimal) if written else ZERO
    if amount <= ZERO or cells.get("mark", "").lower() in _DEBIT:
        statement.debits += 1
        return
    booked_on = figures.day(cells.get("day", ""), dates)
    said = {name: cells.get(name, "")[:length] for name, length in _LENGTHS.items()}
    if reference := cells.get("reference", ""):
        said["text"] = f"{reference} {said['text']}"[: _LENGTHS["text"]]
    content = hashlib.sha256(
        "\x1f".join((booked_on.isoformat(), str(amount.minor), *said.values())).encode()
    ).hexdigest()
    identifier = cells.get("id", "")
    key = f"id:{identifier[:80]}" if identifier else f"sha256:{content}"
    # Two equal lines of one file are two payments; with an identifier of the bank they would be one.
    seen[key] += 1
    if seen[key] > 1:
        if identifier:
            raise UnreadableFigure(
                Sentence("The bank's identifier “%(name)s” stands on two lines.", name=identifier[:80])
            )
        key = f"{key}:{seen[key]}"
    statement.lines.append(
        Line(line=line, key=key, content=content, booked_on=booked_on, amount=amount, **said)
    )
