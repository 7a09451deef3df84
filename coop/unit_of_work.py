"""The unit of work: one transaction at one frozen instant, opened and committed only at the edge.

An edge (request handler, worker job, CLI command) writes `async with units.open() as work:` and passes `work` first
to every verb. Leaving the block commits; an exception rolls back. Nothing inside commits, and nothing inside talks
to the network.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import anyio
from sqlalchemy import CheckConstraint, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from coop import outbox
from coop.clock import Clock
from coop.database import Base, insert_once, is_sqlite, make_engine
from coop.mail import Letter, keyed
from coop.prepared import Drivers, Line, Prepared, borrowed, one_transaction
from coop.settings import Settings


class ClockOffset(Base):
    """How far business time runs ahead of wall time, in seconds; one row, in demo and tests only."""

    __tablename__ = "clock_offset"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("seconds >= 0", name="forward"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    seconds: Mapped[int] = mapped_column(default=0)


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """What every verb takes first: the session, the two times and the settings of this transaction."""

    session: AsyncSession
    settings: Settings
    now: datetime
    """Business time: terms, motions, renewals."""
    wall: datetime
    """Protocol time: cookies, tokens, signatures, retries."""

    def publish(self, event: outbox.Event, *, dedupe_key: str | None = None) -> None:
        """Announce `event` once this unit has committed."""
        self.session.add(outbox.message(event, due_at=self.wall, dedupe_key=dedupe_key))

    def send(self, letter: Letter, *, dedupe_key: str | None = None) -> None:
        """Post `letter` once this unit has committed; a second one under the key ends its unit, so that what it tells is done once."""
        self.session.add(outbox.message(keyed(letter), due_at=self.wall, dedupe_key=dedupe_key))

    async def send_once(self, letter: Letter, *, dedupe_key: str) -> None:
        """Post `letter` once this unit has committed, unless one was posted under the key: what it tells may be heard of twice."""
        await insert_once(
            self.session,
            outbox.OutboxMessage,
            **outbox.row(keyed(letter), due_at=self.wall, dedupe_key=dedupe_key),
        )

    async def publish_all(self, events: Iterable[outbox.Event]) -> None:
        """Announce many events once this unit has committed, in one statement."""
        await outbox.add(self.session, ((event, None) for event in events), due_at=self.wall)

    async def send_all(self, letters: Iterable[tuple[Letter, str]]) -> None:
        """Post many letters once this unit has committed, each at most once under its key, in one statement."""
        await outbox.add(
            self.session, ((keyed(letter), dedupe_key) for letter, dedupe_key in letters), due_at=self.wall
        )


class Units:
    """Opens units of work over one database; made once, at the composition root."""

    def __init__(self, settings: Settings, clock: Clock):
        """Connect lazily to the database that `settings` name."""
        self.settings = settings
        self.clock = clock
        self.writer: AsyncEngine = make_engine(settings.database_url, "writer")
        self.reader: AsyncEngine = make_engine(settings.database_url, "reader")
        self._snapshots = self.reader
        self._lines: AsyncEngine = make_engine(settings.database_url, "line")
        self._drivers = Drivers(self._lines)
        self._sqlite = is_sqlite(settings.database_url)
        if not self._sqlite:
            self._snapshots = self.writer.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[UnitOfWork]:
        """Run one writing transaction; commit on leaving, roll back on an exception."""
        async with AsyncSession(self.writer, expire_on_commit=False, autoflush=True) as session:
            work = await self._freeze(session)
            try:
                yield work
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await session.rollback()
                raise
            # A client that hangs up must not leave the commit half said.
            with anyio.CancelScope(shield=True):
                await session.commit()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        """Give a unit that only reads; it never waits for SQLite's writer."""
        async with AsyncSession(self.reader, expire_on_commit=False, autoflush=False) as session:
            yield await self._freeze(session)

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[UnitOfWork]:
        """Give a unit that reads several tables as of one moment (books, exports)."""
        async with AsyncSession(self._snapshots, expire_on_commit=False, autoflush=False) as session:
            yield await self._freeze(session)

    @contextlib.asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """Give a hot path the driver's own connection (`coop.prepared`); like a unit, only the edge opens one."""
        wall = self.clock.wall()
        async with self._drivers.lent(wall) as driver:
            now = self.clock.business(wall, timedelta(0))
            line = Line(driver, self._drivers.dialect, self.settings, now, wall)
            if self.clock.movable:
                found = await _OFFSET.rows(line)
                ahead = timedelta(seconds=found[0][0] if found else 0)
                line = replace(line, now=self.clock.business(wall, ahead))
            yield line

    @contextlib.asynccontextmanager
    async def writing(self, line: Line) -> AsyncIterator[Line]:
        """Give a line that may write: the same one on PostgreSQL, where each statement commits by itself; SQLite's one writer elsewhere."""
        if not self._sqlite:
            yield line
            return
        async with borrowed(self.writer) as driver, one_transaction(driver):
            yield replace(line, driver=driver)

    async def advance(self, by: timedelta) -> None:
        """Move business time forward, for the demo and for tests."""
        async with self.open() as work:
            offset = await work.session.get(ClockOffset, 1)
            if offset is None:
                offset = ClockOffset()
                work.session.add(offset)
            offset.seconds += int(by.total_seconds())

    async def close(self) -> None:
        """Give the connections back."""
        await self._drivers.close()
        await self._lines.dispose()
        await self.writer.dispose()
        await self.reader.dispose()

    async def _freeze(self, session: AsyncSession) -> UnitOfWork:
        wall = self.clock.wall()
        ahead = timedelta(0)
        if self.clock.movable:
            ahead = timedelta(seconds=await session.scalar(select(ClockOffset.seconds)) or 0)
        return UnitOfWork(session, self.settings, self.clock.business(wall, ahead), wall)


_OFFSET = Prepared(select(ClockOffset.seconds))


def new_id() -> UUID:
    """Return a random identifier; it tells neither time nor order (unlike version 7)."""
    return uuid4()
