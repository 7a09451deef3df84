"""Counts what the application says to its database, so that no statement slips into a hot path unnoticed."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from sqlalchemy import event

from coop.prepared import Line, Prepared
from coop.unit_of_work import Units

# The movable clock of tests asks for its offset once a line or unit; production does not.
CLOCK = 1


@contextlib.contextmanager
def statements(app: Litestar) -> Iterator[list[str]]:
    """Collect what the application says to its database, through sessions and on the driver's own connection."""
    with said_to(app.state.units) as said:
        yield said


@contextlib.contextmanager
def said_to(units: Units) -> Iterator[list[str]]:
    """Collect what is said to the database of these units."""
    said: list[str] = []

    def note(*call: object) -> None:
        statement = str(call[2])
        if not statement.startswith(("BEGIN", "COMMIT", "PRAGMA", "SAVEPOINT", "RELEASE")):
            said.append(statement)

    async def noted(self: Prepared, line: Line, **values: object) -> list[tuple[Any, ...]]:
        said.append(str(self.statement))
        return await rows(self, line, **values)

    rows = Prepared.rows
    engines = (units.reader.sync_engine, units.writer.sync_engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    with pytest.MonkeyPatch.context() as watching:
        watching.setattr(Prepared, "rows", noted)
        yield said
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)
