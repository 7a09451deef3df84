"""Archives as whoever gets one opens them."""

import csv
import io
import json
import zipfile
from typing import Any
from uuid import UUID

from api import archive
from coop.unit_of_work import Units


class Archive:
    """What a person was handed."""

    def __init__(self, content: bytes):
        """Open it."""
        self._zip = zipfile.ZipFile(io.BytesIO(content))
        self.names = self._zip.namelist()
        self.page = self._zip.read("index.html").decode()
        self.document = json.loads(self._zip.read("coop.json"))

    @property
    def held(self) -> dict[str, list[dict[str, Any]]]:
        """Everything that is held, by kind."""
        held: dict[str, list[dict[str, Any]]] = self.document["held"]
        return held

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a table."""
        return list(csv.DictReader(io.StringIO(self._zip.read(f"{name}.csv").decode(), newline="")))

    @property
    def text(self) -> str:
        """Everything in it, one after the other."""
        return "\n".join(self._zip.read(name).decode() for name in self.names)


async def taken(units: Units, account_id: UUID, *, locale: str | None = None) -> Archive:
    """Export what is held about a person."""
    with archive.room() as out:
        await archive.write(units, account_id, out, locale=locale)
        out.seek(0)
        return Archive(out.read())
