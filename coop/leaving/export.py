"""A person's export: everything that is held about them, as one archive to read, to compute with and to take elsewhere.

Rows stream from one snapshot of the database into the archive; what a reader is shown of a long table is its beginning, so
that a long life takes no more memory than a short one.
"""

import csv
import datetime as dt
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import IO
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from coop.database import UTCDateTime
from coop.errors import TooMany
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.leaving.register import APART, HELD
from coop.ledger import references
from coop.money import Money
from coop.personal import Held, Person
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

FORMAT = 1
"""The number of this shape of archive, for programs."""
SHOWN = 100
"""Rows of one table that the page in the archive shows; the files have all of them."""
SOMEBODY_ELSE = "somebody else"

Value = str | int | bool | dt.date | Money | list[object] | dict[str, object] | None


class TooManyExports(TooMany):
    """You have taken your data several times within the hour. It will not have changed much: wait a little."""

    code = "too_many_exports"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is held of one kind, for whoever reads it: its columns, the first rows, and how many there are."""

    held: Held
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Value]]
    count: int


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that an archive holds, for the page in it."""

    account: Account
    made_at: dt.datetime
    sheets: dict[str, Sheet]


async def person(work: UnitOfWork, account: Account) -> Person:
    """Return how the tables know the owner of an account."""
    return Person(
        account_id=account.id, email=account.email, reference=await references.find(work, account.id)
    )


async def write(
    work: UnitOfWork, account_id: UUID, out: IO[bytes], *, spool: IO[str], cover: Callable[[Contents], str]
) -> Account:
    """Write the archive of a person to `out`; `cover` writes the page in it, `spool` is room for what comes last."""
    account = await accounts.get(work, account_id)
    whose = await person(work, account)
    sheets: dict[str, Sheet] = {}
    spool.write(_beginning(work, account))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for held in HELD:
            spool.write(f"{',' if sheets else ''}\n{json.dumps(held.name)}: [")
            sheets[held.name] = await _sheet(work, held, whose, archive, spool)
            spool.write("]")
        spool.write(_end())
        spool.seek(0)
        with archive.open(_entry(work, "coop.json"), "w") as document:
            while part := spool.read(1 << 16):
                document.write(part.encode())
        archive.writestr(_entry(work, "index.html"), cover(Contents(account, work.now, sheets)))
    return account


def columns_of(held: Held) -> list[InstrumentedAttribute[object]]:
    """Return the columns of which a person is told; bytes are never for reading."""
    return [
        getattr(held.table, column.key)
        for column in held.table.__table__.columns
        if column.name not in held.withheld
    ]


async def _sheet(
    work: UnitOfWork, held: Held, whose: Person, archive: zipfile.ZipFile, spool: IO[str]
) -> Sheet:
    """Write what is held of one kind into its files, and return what the page shows of it."""
    names = (*(column.key for column in columns_of(held)), *held.more)
    first: list[list[Value]] = []
    count = 0
    table: io.TextIOWrapper | None = None
    async for row in _rows(work, held, whose):
        plain = [_plain(value, work.settings) for value in row]
        spool.write(
            f"{',' if count else ''}\n {json.dumps(dict(zip(names, plain, strict=True)), ensure_ascii=False)}"
        )
        count += 1
        if count == 2:  # noqa: PLR2004 - one row is no table
            table = io.TextIOWrapper(
                archive.open(_entry(work, f"{held.name}.csv"), "w"), encoding="utf-8", newline=""
            )
            lines = csv.writer(table)
            lines.writerow(names)
            lines.writerow(_cell(_plain(value, work.settings)) for value in first[0])
        if table is not None:
            lines.writerow(_cell(value) for value in plain)
        if count <= SHOWN:
            first.append(row)
    if table is not None:
        table.close()
    return Sheet(held, names, first, count)


async def _rows(work: UnitOfWork, held: Held, whose: Person) -> AsyncIterator[list[Value]]:
    columns = columns_of(held)
    key = list(held.table.__table__.primary_key)
    # In the order in which things happened, where a table tells it.
    days = [column for column in held.table.__table__.columns if isinstance(column.type, UTCDateTime)]
    found = (
        select(*columns, *(told.label(name) for name, told in held.more.items()))
        .where(held.of(whose))
        .order_by(*days[:1], *key)
    )
    others = {
        place
        for place, column in enumerate(columns)
        if column.key in held.people
        or any(
            foreign.target_fullname == "accounts.id" for foreign in column.property.columns[0].foreign_keys
        )
    }
    async for row in await work.session.stream(found):
        yield [
            SOMEBODY_ELSE if place in others and value not in {None, whose.account_id} else _value(value)
            for place, value in enumerate(row)
        ]


def _value(value: object) -> Value:
    if isinstance(value, UUID):
        return str(value)
    assert not isinstance(value, bytes)  # noqa: S101 - every column of bytes is withheld, which a test holds
    return value  # type: ignore[return-value]  # what our columns hold


def _plain(value: Value, settings: Settings) -> object:
    """Return `value` as JSON has it: amounts as decimal strings, instants by ISO 8601."""
    if isinstance(value, Money):
        return settings.money.plain(value)
    return value.isoformat() if isinstance(value, dt.date) else value


def _cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    # An amount may be less than nothing, and is no formula.
    if (
        isinstance(value, str)
        and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        and not _amount(value)
    ):
        return f"'{value}"
    return value


def _amount(value: str) -> bool:
    return value.removeprefix("-").replace(".", "", 1).isdecimal()


def _beginning(work: UnitOfWork, account: Account) -> str:
    head = {
        "format": FORMAT,
        "coop": work.settings.name,
        "service": work.settings.issuer,
        "made_at": work.now.isoformat(),
        "currency": work.settings.currency,
        "handle": account.handle,
    }
    return json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "held": {'


def _end() -> str:
    rest = {
        "withheld": {held.name: dict(held.withheld) for held in HELD if held.withheld},
        "apart": {apart.table.__tablename__: apart.why for apart in APART},
    }
    return "\n},\n" + json.dumps(rest, ensure_ascii=False, indent=1)[2:]


def _entry(work: UnitOfWork, name: str) -> zipfile.ZipInfo:
    made = work.now.astimezone(work.settings.zone)
    entry = zipfile.ZipInfo(name, made.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    # Readable by its owner alone where it is unpacked.
    entry.external_attr = 0o600 << 16
    return entry
