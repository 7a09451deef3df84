"""The archive of what is held about a person: where it is made, and the page in it, in the reader's language."""

import contextlib
import datetime as dt
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO
from uuid import UUID

from api.pages.holdings import HOLDINGS, Holding
from api.pages.languages import marked, translations
from api.pages.rendering import day, environment, instant_text, money
from coop.leaving import export
from coop.leaving.export import SHOWN, Contents, Sheet, Value
from coop.money import Money
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

IN_MEMORY = 1 << 20
"""Bytes of an archive that are kept in memory; a longer one goes to a file without a name."""
_NOTHING = "\N{EN DASH}"
_YES, _NO = marked("yes"), marked("no")


@dataclass(frozen=True, slots=True)
class Part:
    """One holding with what the archive has of it."""

    holding: Holding
    sheets: list[Sheet]


@contextlib.contextmanager
def room() -> Iterator[IO[bytes]]:
    """Give a place to write an archive to, which is gone afterwards."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as out:
        yield out


async def write(units: Units, account_id: UUID, out: IO[bytes], *, locale: str | None = None) -> str:
    """Write the archive of a person to `out`, as of one moment; return under what name to keep it."""
    async with units.snapshot() as work:
        return await write_in(work, account_id, out, locale=locale)


async def write_in(work: UnitOfWork, account_id: UUID, out: IO[bytes], *, locale: str | None = None) -> str:
    """Write the archive within a unit that is open already."""
    settings = work.settings
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, mode="w+", encoding="utf-8") as spool:
        account = await export.write(
            work,
            account_id,
            out,
            spool=spool,
            cover=lambda contents: cover(contents, settings, locale or contents.account.locale),
        )
    return f"{account.handle}-{work.now.astimezone(settings.zone):%Y-%m-%d}.zip"


def cover(contents: Contents, settings: Settings, locale: str) -> str:
    """Return the page that shows what is in the archive; it needs nothing that is not in it."""
    left = dict(contents.sheets)
    parts = []
    for holding in HOLDINGS:
        # A table that serves several purposes is shown with the first of them.
        of = [sheet for sheet in left.values() if sheet.held.table.__tablename__ in holding.tables]
        for sheet in of:
            del left[sheet.held.name]
        parts.append(Part(holding, of))
    return (
        environment(locale)
        .get_template("account/archive.html")
        .render(
            settings=settings,
            locale=locale,
            account=contents.account,
            made_at=instant_text(contents.made_at, settings, locale),
            parts=parts,
            shown=SHOWN,
            written=lambda value: written(value, settings, locale),
        )
    )


def written(value: Value, settings: Settings, locale: str) -> str:  # noqa: PLR0911 - one for each kind of value
    """Write one value as readers of `locale` expect it."""
    match value:
        case None | "":
            return _NOTHING
        case bool():
            return translations(locale).gettext(_YES if value else _NO)
        case Money():
            return money(value, settings, locale)
        case dt.datetime():
            return instant_text(value, settings, locale)
        case dt.date():
            return day(value, settings, locale)
        case list():
            return ", ".join(str(one) for one in value) or _NOTHING
        case _:
            return str(value)
