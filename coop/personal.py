"""What is held about a person: each package says which rows of its tables are theirs, and what of these they may read.

The page that tells what is held, the export of it and its erasure all go by this, so that none of them forgets a table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from coop.database import Base

Why = Literal["secret", "other", "inner"]
"""Why a column is kept back: it opens something, it speaks of somebody else, or it is of use to programs alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose rows are looked for: by the account, by its address, and by the reference under which the books know it."""

    account_id: UUID
    email: str | None
    reference: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The rows of one table that are about a person, under the `name` of the table unless it has several kinds."""

    table: type[Base]
    of: Callable[[Person], ColumnElement[bool]]
    stays: str = ""
    """Why the rows outlive the account, without a name; those of which nothing is said here are deleted with it."""
    withheld: Mapping[str, Why] = field(default_factory=dict)
    people: tuple[str, ...] = ()
    """Columns that name an account without a foreign key; what is another person's is left out there, as in those with one."""
    more: Mapping[str, ColumnElement[str] | InstrumentedAttribute[str]] = field(default_factory=dict)
    """What is told beside the columns, such as the name of what an identifier stands for."""
    called: str = ""

    @property
    def name(self) -> str:
        """Under what the rows are told."""
        return self.called or self.table.__tablename__


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """A table that is about people and of whose rows nobody can say whose they are."""

    table: type[Base]
    why: str


Registered = tuple[Held | Apart, ...]
