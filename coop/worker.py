"""Does what was promised: carries the outbox out, and runs the recurring jobs.

Any number of workers may run, in server processes or on their own (`coop work`). Effects in the database happen once: they
commit together with the mark that says so. Effects outside (letters) happen at least once, under a stable identifier.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup
from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from coop.authorization import backchannel, ending, expiry, notices, rotation
from coop.billing import cards, gaps, old_places, operations, receipts, reconciliation, refunds, subscriptions
from coop.billing.gateway import Gateway
from coop.billing.importing import held
from coop.billing.offline import matching, transactions, transfers
from coop.fetching import Fetcher
from coop.governance import ballots, letters, outcome, roll
from coop.identity import housekeeping, recovery
from coop.leaving import erasing
from coop.ledger import sealer
from coop.mail import Letter, Mailer
from coop.membership import renewal
from coop.networks import announcements, deliveries, sending, settlement
from coop.networks.moving import imported
from coop.outbox import Event, OutboxMessage, Scheduled, read
from coop.sponsorship import gifts, outlook, queue, returns, runs
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
    """What goes on all the time beside the outbox, like deliveries; each finds its own due work."""
    idle: float = 0.5
    """Seconds to rest when there was nothing to do."""

    async def run(self) -> None:
        """Work until cancelled; a fault is logged and outlived, since nobody is watching at night.

        The outbox, the errands and the jobs go on beside one another: a network that answers slowly must not delay
        a letter.
        """
        async with anyio.create_task_group() as group:
            for errand in (self._outbox, *self.errands):
                group.start_soon(self._for_ever, errand)
            group.start_soon(self._keep_schedule)

    async def drain(self) -> int:
        """Work until nothing is due, and return how much was done; for tests and for `coop work --once`."""
        done = 0
        while did := await self.step():
            done += did
        return done

    async def step(self) -> int:
        """Do one batch of the outbox, every errand and every due job once."""
        did = sum([await errand() for errand in (self._outbox, *self.errands)])
        return did + sum([await self._run(job) for job in await self._due()])

    async def _for_ever(self, errand: Callable[[], Awaitable[int]]) -> None:
        while True:
            try:
                did = await errand()
            except Exception as error:
                log.exception("worker_fault", error=type(error).__name__)
                did = 0
            if not did:
                await anyio.sleep(self.idle)

    async def _keep_schedule(self) -> None:
        """Start each job when it is due, unless its last turn is still under way."""
        under_way: set[str] = set()

        async def turn(job: Job) -> None:
            try:
                await self._run(job)
            except Exception as error:
                log.exception("worker_fault", job=job.name, error=type(error).__name__)
            finally:
                under_way.discard(job.name)

        async def start(group: TaskGroup) -> int:
            for job in await self._due():
                if job.name not in under_way:
                    under_way.add(job.name)
                    group.start_soon(turn, job)
            return 0

        async with anyio.create_task_group() as group:
            await self._for_ever(partial(start, group))

    async def _outbox(self) -> int:
        did = 0
        for row in await self._claim():
            did += await self._carry_out(row)
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
        if not await self._claim_turn(job):
            return 0
        try:
            await job.run()
        except Exception as error:
            log.exception("job_failure", job=job.name, error=type(error).__name__)
        return 1

    async def _due(self) -> list[Job]:
        """Return the jobs whose turn it is, by one look at the schedule."""
        async with self.units.read() as look:
            later = set(await look.session.scalars(select(Scheduled.job).where(Scheduled.due_at > look.wall)))
        return [job for job in self.jobs if job.name not in later]

    async def _claim_turn(self, job: Job) -> bool:
        """Claim this turn of `job`, unless somebody else has; a job that nobody ever ran is put on the schedule."""
        async with self.units.open() as work:
            turn = update(Scheduled).where(Scheduled.job == job.name, Scheduled.due_at <= work.wall)
            moved = await work.session.scalar(
                turn.values(due_at=work.wall + job.every).returning(Scheduled.job)
            )
            if moved is not None:
                return True
            if await work.session.get(Scheduled, job.name) is not None:
                return False
        return await self._enrol(job)

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
    often, now_and_then, hourly = timedelta(seconds=5), timedelta(minutes=1), timedelta(hours=1)
    jobs: tuple[Job, ...] = (
        Job("seal_books", often, partial(sealer.seal_due, units)),
        Job("close_votes", often, partial(outcome.close_due, units)),
        Job("execute_motions", often, partial(outcome.execute_due, units)),
        Job("grant_places", now_and_then, partial(runs.grant_due, units)),
        Job("issue_receipts", now_and_then, partial(receipts.issue_due, units)),
        Job("send_refunds", now_and_then, partial(refunds.send_due, units, gateway)),
        Job("settle_cards", now_and_then, partial(cards.settle_due, units, gateway)),
        Job("stop_renewals", now_and_then, partial(subscriptions.carry_out_due, units, gateway)),
        Job("erase_accounts", now_and_then, partial(erasing.carry_out_due, units, gateway)),
        Job("announce_motions", now_and_then, partial(letters.announce_due, units)),
        Job("rotate_keys", now_and_then, partial(rotation.rotate_due, units)),
        # Before the notices, which those whose next year is a gift need not get.
        Job("begin_kept_gifts", now_and_then, partial(gifts.begin_kept, units)),
        Job("note_pool", now_and_then, partial(outlook.note_morning, units)),
        Job("lapse", now_and_then, partial(renewal.lapse_due, units)),
        Job("remind_of_renewal", hourly, partial(renewal.remind_due, units, subscriptions.planned)),
        Job("keep_gaps", hourly, partial(gaps.keep_due, units)),
        Job("expire_transfers", hourly, partial(transfers.expire_due, units)),
        Job("match_transfers", hourly, partial(matching.match_due, units)),
        Job("forget_bank_transactions", hourly, partial(transactions.forget_old, units)),
        Job("return_gifts", hourly, partial(returns.return_due, units)),
        Job("remind_voters", hourly, partial(letters.remind_due, units)),
        Job("mix_ballots", hourly, partial(ballots.mix_open, units)),
        Job("recognise_months", hourly, partial(settlement.recognise_due, units)),
        Job("forget_rolls", hourly, partial(roll.forget_due, units)),
        Job("reconcile", hourly, partial(reconciliation.run, units, gateway)),
        Job("expire_imports", hourly, partial(held.expire_due, units)),
        Job("forget_tokens", hourly, partial(expiry.forget_due, units)),
        Job("forget_sign_outs", hourly, partial(notices.forget_old, units)),
        Job("forget_imports", hourly, partial(imported.forget_due, units)),
        Job("forget_deliveries", hourly, partial(deliveries.forget_old, units)),
        Job("forget_places", hourly, partial(old_places.forget_due, units)),
        Job("forget_operations", hourly, partial(operations.forget_old, units)),
        Job("sweep_sign_ins", hourly, partial(housekeeping.sweep, units)),
    )
    if units.settings.demo:
        # A demo's year passes in a moment, and somebody is watching.
        jobs = tuple(replace(job, every=timedelta(seconds=30 if job.every is hourly else 2)) for job in jobs)
    return Worker(
        units,
        mailer,
        jobs=jobs,
        handlers=together(
            announcements.handlers,
            recovery.handlers,
            ending.handlers,
            held.handlers,
            queue.handlers,
            subscriptions.handlers,
        ),
        errands=(
            partial(call, units, sending.deliver_quick),
            partial(call, units, sending.deliver_slow),
            # Beside the webhooks, which may be many, since this cannot wait.
            partial(call, units, backchannel.tell_due),
            partial(runs.begin_due, units),
        ),
        idle=0.3 if units.settings.demo else 0.5,
    )


def together(*listeners: Mapping[type[Event], Handler]) -> dict[type[Event], tuple[Handler, ...]]:
    """Return who hears of each event, in this order; several may."""
    events = dict.fromkeys(event for listener in listeners for event in listener)
    return {event: tuple(one[event] for one in listeners if event in one) for event in events}


async def call(units: Units, errand: Callable[[Units, Fetcher], Awaitable[int]]) -> int:
    """Run an errand that calls others' servers."""
    async with Fetcher(units.settings) as fetcher:
        return await errand(units, fetcher)


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
