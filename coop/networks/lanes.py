"""Lanes: each receiver is served on its own, so that one who answers slowly, or never, delays nobody else."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import anyio
import structlog

from coop.errors import CoopError

LANES = 64
_LOOK_AGAIN_SECONDS = 0.5

log = structlog.get_logger("coop.lanes")

Waiting = Callable[[set[UUID], int], Awaitable[Sequence[UUID]]]
"""Return receivers with something due, at most so many, but those that are being served."""


async def serve(waiting: Waiting, empty: Callable[[UUID], Awaitable[int]]) -> int:
    """Send all that is due and return how much arrived; what becomes due meanwhile goes along."""
    arrived = 0
    busy: set[UUID] = set()
    faulty: set[UUID] = set()
    freed = anyio.Event()

    async def lane(receiver: UUID) -> None:
        nonlocal arrived
        try:
            # Not in one line, which would read the sum before the wait and lose what others add meanwhile.
            done = await empty(receiver)
            arrived += done
        except CoopError as error:
            # The others go on; this one is tried again in the next round.
            faulty.add(receiver)
            log.error("lane_fault", code=error.code)  # noqa: TRY400 - around a rollback there are rows that a traceback would show
        finally:
            busy.discard(receiver)
            freed.set()

    async with anyio.create_task_group() as group:
        while True:
            freed = anyio.Event()
            for receiver in await waiting(busy | faulty, LANES - len(busy)):
                busy.add(receiver)
                group.start_soon(lane, receiver)
            if not busy:
                break
            # While a slow one is being waited for, others may come due.
            with anyio.move_on_after(_LOOK_AGAIN_SECONDS):
                await freed.wait()
    return arrived
