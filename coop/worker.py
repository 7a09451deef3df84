"""Does what was promised: carries the outbox out, and runs the recurring jobs.

Any number of workers may run, in server processes or on their own (`coop work`). Effects in the database happen once: they
commit together with the mark that says so. Effects outside (letters) happen at least once, under a stable identifier.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import anyio
import msgspec
import structlog
from sqlalchemy import ColumnElement, CursorResult, and_, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from coop.billing.gateway import Gateway
from coop.fetching import Fetcher
from coop.mail import Letter, Mailer
from coop.networks import announcements, deliveries
from coop.outbox import Event, OutboxMessage, Scheduled, read
from coop.unit_of_work import UnitOfWork, Units, new_id

LEASE = timedelta(seconds=60)
"""A worker that died is presumed dead after this; letters must be handed over within it."""
BATCH = 20
LONGEST_BACK_OFF = timedelta(hours=6)

log = structlog.get_logger("coop.worker")

Handler = Callable[[UnitOfWork, Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """A recurring procedure; it must find its own due work and be safe to repeat."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Worker:
    """Carries out the outbox and the jobs of one cooperative."""

    units: Units
    mailer: Mailer
    jobs: Sequence[Job] = ()
    handlers: Mapping[type[Event], Sequence[Handler]] = field(default_factory=dict)
    errands: Sequence[Callable[[], Awaitable[int]]] = ()
    """Calls on other people's servers: each at a pace of its own, since a slow one must not hold up the rest."""
    idle: float = 0.5
    """Seconds to rest when there was nothing to do."""

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as group:
            for errand in (self.step, *self.errands):
                group.start_soon(self._repeat, errand)

    async def _repeat(self, errand: Callable[[], Awaitable[int]]) -> None:
        """Do one thing over and over; a fault is logged and outlived, since nobody is watching at night."""
        while True:
            try:
                did = await errand()
            except Exception as error:
                log.exception("worker_fault", error=type(error).__name__)
                did = 0
            if not did:
                await anyio.sleep(self.idle)

    async def drain(self) -> int:
        """Work until nothing is due, and return how much was done; for tests and for `coop clock advance`."""
        done = 0
        while did := sum([await errand() for errand in (self.step, *self.errands)]):
            done += did
        return done

    async def step(self) -> int:
        """Do one batch of the outbox and every due job once."""
        did = 0
        for row in await self._claim():
            did += await self._carry_out(row)
        for job in self.jobs:
            did += await self._run(job)
        return did

    async def _claim(self) -> Sequence[OutboxMessage]:
        async with self.units.read() as look:
            # Most rounds find nothing; looking first keeps SQLite's one writer free.
            if await look.session.scalar(select(OutboxMessage.id).where(_due(look.wall)).limit(1)) is None:
                return ()
        async with self.units.open() as work:
            due = select(OutboxMessage.id).where(_due(work.wall)).order_by(OutboxMessage.due_at).limit(BATCH)
            claimed = (
                update(OutboxMessage)
                .where(OutboxMessage.id.in_(due.with_for_update(skip_locked=True).scalar_subquery()))
                .values(lease=new_id(), leased_until=work.wall + LEASE, attempts=OutboxMessage.attempts + 1)
                .returning(OutboxMessage)
            )
            return (await work.session.scalars(claimed)).all()

    async def _carry_out(self, row: OutboxMessage) -> int:
        try:
            if row.kind == Letter.__name__:
                with anyio.fail_after(LEASE.total_seconds() / 2):
                    await self.mailer.send(msgspec.json.decode(row.payload, type=Letter))
                async with self.units.open() as work:
                    await _finish(work, row)
            else:
                event = read(row)
                async with self.units.open() as work:
                    if await _finish(work, row):
                        for handler in self.handlers.get(type(event), ()):
                            await handler(work, event)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is written down and tried again
            log.warning("outbox_failure", kind=row.kind, attempts=row.attempts, error=type(error).__name__)
            async with self.units.open() as work:
                await _postpone(work, row, type(error).__name__)
            return 0
        return 1

    async def _run(self, job: Job) -> int:
        if not await self._due(job):
            return 0
        try:
            await job.run()
        except Exception as error:
            log.exception("job_failure", job=job.name, error=type(error).__name__)
        return 1

    async def _due(self, job: Job) -> bool:
        """Claim this turn of `job`, if it is due and nobody else has."""
        async with self.units.read() as look:
            due_at = await look.session.scalar(select(Scheduled.due_at).where(Scheduled.job == job.name))
            if due_at is not None and due_at > look.wall:
                return False
        if due_at is None:
            return await self._enrol(job)
        async with self.units.open() as work:
            turn = update(Scheduled).where(Scheduled.job == job.name, Scheduled.due_at <= work.wall)
            moved: CursorResult[tuple[()]] = await work.session.execute(
                turn.values(due_at=work.wall + job.every)
            )  # type: ignore[assignment]  # DML gives a CursorResult
            return moved.rowcount == 1

    async def _enrol(self, job: Job) -> bool:
        """Put a job that nobody has ever run on the schedule; of two workers, one does."""
        try:
            async with self.units.open() as work:
                work.session.add(Scheduled(job=job.name, due_at=work.wall + job.every))
        except IntegrityError:
            return False
        return True


def assemble(units: Units, gateway: Gateway, mailer: Mailer) -> Worker:
    """Return a worker that knows every job and every handler of the cooperative."""
    del gateway
    pause = timedelta(seconds=1) if units.settings.demo else timedelta(minutes=5)
    jobs: dict[str, Callable[[], Awaitable[object]]] = {
        "webhooks.forget_old": partial(deliveries.forget_old, units),
    }
    return Worker(
        units,
        mailer,
        jobs=[Job(name, pause, run) for name, run in jobs.items()],
        handlers={event: (handler,) for event, handler in announcements.handlers.items()},
        errands=[partial(_deliver, units)],
        idle=0.2 if units.settings.demo else 0.5,
    )


async def _deliver(units: Units) -> int:
    async with Fetcher(units.settings) as fetcher:
        return await deliveries.deliver_due(units, fetcher)


async def hasten(work: UnitOfWork) -> None:
    """Make every job due now: business time was moved, so work may be waiting."""
    await work.session.execute(update(Scheduled).values(due_at=work.wall))


def _due(wall: datetime) -> ColumnElement[bool]:
    free = or_(OutboxMessage.leased_until.is_(None), OutboxMessage.leased_until < wall)
    return and_(OutboxMessage.done_at.is_(None), OutboxMessage.due_at <= wall, free)


async def _finish(work: UnitOfWork, row: OutboxMessage) -> bool:
    """Strike `row` off, if its lease is still ours; a row with a dedupe key stays, emptied, to keep its key taken."""
    ours = and_(OutboxMessage.id == row.id, OutboxMessage.lease == row.lease)
    if row.dedupe_key is None:
        struck = await work.session.execute(delete(OutboxMessage).where(ours).returning(OutboxMessage.id))
    else:
        emptied = (
            update(OutboxMessage)
            .where(ours)
            .values(done_at=work.wall, payload=b"", lease=None, leased_until=None)
        )
        struck = await work.session.execute(emptied.returning(OutboxMessage.id))
    found: UUID | None = struck.scalar()
    return found is not None


async def _postpone(work: UnitOfWork, row: OutboxMessage, failure: str) -> None:
    back_off = min(timedelta(seconds=5 * 2 ** min(row.attempts, 16)), LONGEST_BACK_OFF)
    ours = and_(OutboxMessage.id == row.id, OutboxMessage.lease == row.lease)
    later = {"due_at": work.wall + back_off, "lease": None, "leased_until": None, "failure": failure}
    await work.session.execute(update(OutboxMessage).where(ours).values(later))
