"""Guarded writes: a row that must still stand as it was seen is changed, and what follows from it is inserted, all or nothing.

What a hot path decides from one look is put down in one statement on PostgreSQL, for any number of cases at once. Each
case whose row has moved meanwhile is left out, and whoever asked goes the general way. A key that is taken refuses all
cases together, as it should: nothing of them is written then.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    String,
    Table,
    Uuid,
    bindparam,
    column,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import CTE, FromClause

from coop.database import Base, Row
from coop.prepared import Line, Prepared


class Case(NamedTuple):
    """What is to be written if the guarded row with this `key` still stands."""

    key: UUID
    changes: Row
    """Of the guarded row."""
    rows: Sequence[tuple[type[Base], Row]]
    """To be inserted: every column of each."""


class GuardedWrite:
    """One kind of write; made once, and compiled once for each engine."""

    def __init__(
        self,
        guard: type[Base],
        *,
        still: ColumnElement[bool],
        changes: Sequence[str],
        inserts: Sequence[type[Base]],
    ):
        """Change columns of a row of `guard` that is `still` as it should be, and insert rows in the order of `inserts`."""
        self._guard = cast("Table", guard.__table__)
        self._still = still
        self._changes = [self._guard.c[name] for name in changes]
        self._tables = {model: cast("Table", model.__table__) for model in inserts}
        self._at_once = Prepared(self._one_statement())
        self._step = Prepared(self._guarded_step())
        self._steps = {
            model: Prepared(insert(table).values({each.name: bindparam(each.name) for each in table.c}))
            for model, table in self._tables.items()
        }

    async def write(self, line: Line, cases: Sequence[Case]) -> set[UUID]:
        """Write the cases that still stand, and return their keys; `line` is one that may write."""
        if line.is_sqlite:
            return {case.key for case in cases if await self._in_steps(line, case)}
        values: dict[str, list[object]] = {"key": [case.key for case in cases]}
        for each in self._changes:
            values[f"to_{each.name}"] = [case.changes[each.name] for case in cases]
        rows: dict[type[Base], list[tuple[UUID, Row]]] = {model: [] for model in self._tables}
        for case in cases:
            for model, row in case.rows:
                rows[model].append((case.key, row))
        for model, table in self._tables.items():
            values[f"{table.name}__key"] = [key for key, _ in rows[model]]
            for name in table.c.keys():  # noqa: SIM118 - a collection of columns is no dictionary
                values[f"{table.name}__{name}"] = [row[name] for _, row in rows[model]]
        return {key for (key,) in await self._at_once.rows(line, **values)}

    async def _in_steps(self, line: Line, case: Case) -> bool:
        """Do on SQLite, within one transaction, what is one statement on PostgreSQL."""
        changes = {f"to_{name}": value for name, value in case.changes.items()}
        if not await self._step.rows(line, key=case.key, **changes):
            return False
        for model in self._tables:
            for row in (row for kind, row in case.rows if kind is model):
                await self._steps[model].rows(line, **row)
        return True

    def _guarded_step(self) -> Any:  # noqa: ANN401 - SQLAlchemy's statements have many types
        return (
            update(self._guard)
            .where(self._guard.c.id == bindparam("key", type_=Uuid()), self._still)
            .values({each: bindparam(f"to_{each.name}", type_=each.type) for each in self._changes})
            .returning(self._guard.c.id)
        )

    def _one_statement(self) -> Select[Any]:
        given = _given("given", "", [("key", Uuid()), *((f"to_{c.name}", c.type) for c in self._changes)])
        guarded = (
            update(self._guard)
            .where(self._guard.c.id == given.c.key, self._still)
            .values({each: given.c[f"to_{each.name}"] for each in self._changes})
            .returning(self._guard.c.id)
            .cte("guarded")
        )
        said = select(guarded.c.id)
        before: CTE | None = None
        for table in self._tables.values():
            before = _inserted(table, guarded, before)
            said = said.add_cte(before)
        return said


def _inserted(table: Table, guarded: CTE, before: CTE | None) -> CTE:
    columns: Iterable[Column[Any]] = table.c
    given = _given(
        f"given_{table.name}",
        f"{table.name}__",
        [("key", Uuid()), *((each.name, each.type) for each in columns)],
    )
    found = select(*(given.c[each.name] for each in columns)).join_from(
        given, guarded, guarded.c.id == given.c.key
    )
    if before is not None:
        # The parts of one statement are carried out in no order unless one asks for what another has returned.
        found = found.where(select(func.count()).select_from(before).scalar_subquery() >= literal_column("0"))
    return (
        insert(table)
        .from_select([each.name for each in columns], found, include_defaults=False)
        .returning(literal_column("1").label("one"))
        .cte(f"put_{table.name}")
    )


def _given(name: str, prefix: str, columns: Sequence[tuple[str, Any]]) -> FromClause:
    """Return a table of what the driver is given: an array for each column."""
    # Without the length of a text, to which PostgreSQL would cut it: what is too long is refused by the column.
    arrays = [
        bindparam(f"{prefix}{each}", type_=ARRAY(String() if isinstance(kind, String) else kind))
        for each, kind in columns
    ]
    return (
        func.unnest(*arrays)
        .table_valued(*(column(each, kind) for each, kind in columns))
        .render_derived(name)
    )
