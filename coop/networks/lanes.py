"""Lanes: each receiver is served on its own, so that one who answers slowly, or never, delays nobody else.

A lane counts for as long as an honest receiver needs. Whoever takes longer keeps it, but a fresh one is opened in its place;
hence as many tar-pits as there are lanes hold up the next receiver for no longer than that.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import anyio
import structlog

from coop.errors import CoopError

LANES = 64
PATIENCE = 2.0
"""Seconds after which a lane does not count any more."""
_LOOK_AGAIN_SECONDS = 0.5

log = structlog.get_logger("coop.lanes")

Waiting = Callable[[set[UUID], int], Awaitable[Sequence[UUID]]]
"""Return receivers with something due, at most so many, but those that are being served."""


async def serve(
    waiting: Waiting,
    turn: Callable[[UUID], Awaitable[int]],
    *,
    most: int = LANES,
    patience: float = PATIENCE,
) -> int:
    """Give turns until nothing is due, and return how much arrived; what becomes due meanwhile goes along."""
    arrived = 0
    begun: dict[UUID, float] = {}
    faulty: set[UUID] = set()
    freed = anyio.Event()

    async def lane(receiver: UUID) -> None:
        nonlocal arrived
        try:
            # Not in one line, which would read the sum before the wait and lose what others add meanwhile.
            done = await turn(receiver)
            arrived += done
        except CoopError as error:
            # The others go on; this one is tried again in the next round.
            faulty.add(receiver)
            log.error("lane_fault", code=error.code)  # noqa: TRY400 - around a rollback there are rows that a traceback would show
        finally:
            del begun[receiver]
            freed.set()

    async with anyio.create_task_group() as group:
        while True:
            freed = anyio.Event()
            now = anyio.current_time()
            room = most - sum(now - since < patience for since in begun.values())
            for receiver in await waiting({*begun, *faulty}, room) if room > 0 else ():
                begun[receiver] = anyio.current_time()
                group.start_soon(lane, receiver)
            if not begun:
                break
            # While a slow one is being waited for, others may come due.
            with anyio.move_on_after(_LOOK_AGAIN_SECONDS):
                await freed.wait()
    return arrived
