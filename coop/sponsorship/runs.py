"""The runs over all places: offers lapse, places are given, years begin, batch by batch.

Each batch is a unit of its own, and what it did is its own mark: a run that was killed goes on where it stood, and no year
begins twice. One place that cannot begin in its batch is taken by itself, so that it holds up nobody.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import BigInteger, ColumnElement, func, or_, select, tuple_, type_coerce
from sqlalchemy.exc import IntegrityError

from coop import bulk, policies
from coop.errors import CoopError
from coop.policies import Dues
from coop.progress import Tell, nobody
from coop.sponsorship import letters, place_batches, places, pool, queue
from coop.sponsorship.letters import Addressed
from coop.sponsorship.place_batches import Candidate
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units

BATCH = 2000
"""How many places one unit of work takes at most: enough that SQLite does not write each page of an index over and over, few
enough to keep nobody waiting."""
REFUSALS = (CoopError, IntegrityError, LookupError)
"""What one of a batch can meet."""

log = structlog.get_logger("coop.sponsorship")


async def grant_due(units: Units) -> int:
    """Let offers lapse, give what the pool now covers, and begin what begins at once (a job)."""
    done = await lapse_due(units) + await give_due(units)
    # An errand does so all the time, but where there is no wait it would begin after whoever asks now.
    await begin_due(units)
    return done


async def give_due(units: Units, tell: Tell = nobody) -> int:
    """Give what the pool covers to those who are next."""
    done = 0
    while True:
        async with units.open() as work:
            turn = await queue.turn(work, most=BATCH, at_once=False)
        if not turn.done:
            return done
        done += turn.done
        tell(turn.done)


async def count_covered(work: UnitOfWork) -> int:
    """Return how many of those who wait the pool covers now, leaving aside the cap on first places."""
    price = (await policies.in_force(work, Dues)).document.price
    line = queue.waiting().add_columns(
        func.sum(price - type_coerce(Place.contribution, BigInteger))
        .over(order_by=(Place.credited.desc(), Place.asked_at, Place.id), rows=(None, 0))
        .label("together")
    )
    covered = line.subquery()
    free = (await pool.free(work)).minor
    return (
        await work.session.scalar(select(func.count()).select_from(covered).where(covered.c.together <= free))
        or 0
    )


async def begin_due(units: Units, tell: Tell = nobody) -> int:
    """Begin the places whose moment has come (an errand: at the random second itself, not at a job's regular one)."""
    done = 0
    after: tuple[datetime, int] | None = None
    while True:
        async with units.read() as look:
            # Most rounds find nothing; looking first keeps SQLite's one writer free.
            if not await _due(look, after, most=1):
                return done
        batch: list[tuple[datetime, Candidate]] = []
        try:
            async with units.open() as work:
                await places.lock(work)
                batch = await _due(work, after, most=BATCH)
                begun, _ = await place_batches.begin(work, [place for _, place in batch])
        except REFUSALS as error:
            log.info("places_one_by_one", places=len(batch), error=type(error).__name__)
            begun = await _one_by_one(units, [place for _, place in batch])
        if not batch:
            return done
        after = batch[-1][0], batch[-1][1].id
        done += begun
        tell(len(batch))


async def count_due(work: UnitOfWork) -> int:
    """Return how many places are to begin now."""
    return await work.session.scalar(select(func.count()).where(*_moment_has_come(work))) or 0


def _moment_has_come(work: UnitOfWork) -> tuple[ColumnElement[bool], ...]:
    return Place.state == "awarded", Place.due_at <= work.now


async def _due(
    work: UnitOfWork, after: tuple[datetime, int] | None, *, most: int
) -> list[tuple[datetime, Candidate]]:
    statement = (
        place_batches.candidates()
        .add_columns(Place.due_at)
        .where(*_moment_has_come(work))
        .order_by(Place.due_at, Place.id)
        .limit(most)
    )
    if after is not None:
        # Those that could not begin stand still at the head; the run goes past them.
        statement = statement.where(tuple_(Place.due_at, Place.id) > tuple_(*after))
    return [(due_at, Candidate(*row)) for *row, due_at in await bulk.read(work.session, statement)]


async def _one_by_one(units: Units, batch: Sequence[Candidate]) -> int:
    begun = 0
    for one in batch:
        try:
            async with units.open() as work:
                await places.lock(work)
                begun += await places.begin(work, await work.session.get_one(Place, one.id))
        except REFUSALS as error:
            log.warning("place_not_begun", place=one.id, error=type(error).__name__)
    return begun


async def count_late(work: UnitOfWork) -> int:
    """Return how many offers nobody has taken up in time."""
    return await work.session.scalar(select(func.count()).where(*_late(work))) or 0


def _late(work: UnitOfWork) -> tuple[ColumnElement[bool], ...]:
    return (
        Place.state == "offered",
        Place.due_at <= work.now,
        or_(Place.held_until.is_(None), Place.held_until <= work.now),
    )


async def lapse_due(units: Units, tell: Tell = nobody) -> int:
    """Give the parts of offers that nobody took up back to the pool, and tell those who were waiting for them."""
    done = 0
    while True:
        async with units.open() as work:
            await places.lock(work)
            rows = await bulk.read(
                work.session,
                place_batches.candidates()
                .add_columns(Place.due_at != Place.awarded_at)
                .where(*_late(work))
                .order_by(Place.due_at, Place.id)
                .limit(BATCH),
            )
            late = [(Candidate(*row), asked) for *row, asked in rows]
            if not late:
                return done
            await place_batches.close(work, [place for place, _ in late], "lapsed")
            await letters.post_all(
                work,
                letters.LAPSED,
                [
                    Addressed(place.email, place.locale, f"place-lapsed:{place.id}")
                    for place, asked in late
                    if asked
                ],
            )
        done += len(late)
        tell(len(late))
