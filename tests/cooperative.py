"""A working cooperative for tests: founded, its books open."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select

from coop import policies
from coop.policies.versions import PolicyVersion
from coop.unit_of_work import UnitOfWork, Units, new_id

_ADOPTED: list[Mapping[str, Any]] = []
"""What the first founding of this process wrote, but for names and days."""
_COLUMNS = [
    column
    for column in PolicyVersion.__table__.columns
    if column.name not in {"id", "adopted_at", "effective_at"}
]


async def found(units: Units) -> None:
    """Give the test's database its founding law and open books."""
    async with units.open() as work:
        await adopt_law(work)


async def adopt_law(work: UnitOfWork) -> None:
    """Let the founding law be adopted: once a process in earnest, and from then on by the very rows that this wrote.

    A thousand tests begin with it, and each of its documents is the work of several statements.
    """
    if await work.session.scalar(select(PolicyVersion.id).limit(1)):
        await policies.found(work)
    elif not _ADOPTED:
        await policies.found(work)
        _ADOPTED.extend((await work.session.execute(select(*_COLUMNS))).mappings())
    else:
        days = {"adopted_at": work.now, "effective_at": work.now}
        rows = [{**row, **days, "id": new_id()} for row in _ADOPTED]
        await work.session.execute(insert(PolicyVersion), rows)
