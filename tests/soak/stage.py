"""The stage on which a life is played: it kills the process at any point, loses answers, and lets two people act at once.

Every place where the real thing may stop, or where somebody else may come in between, is a *boundary*: before a unit of
work opens, before and after its commit, before and after a call to the processor. The stage counts them, so that a
failing life replays exactly.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import stripe
from sqlalchemy.exc import IntegrityError

from api.sandbox import Sandbox
from api.sandbox.endpoint import Asked, answering
from coop.errors import Refused
from coop.unit_of_work import UnitOfWork, Units

NOBODYS = "an erased account is nobody's"
"""What the database says to whoever begins something in the name of somebody who is gone."""


class Died(BaseException):
    """The process was killed here; like `kill -9`, nothing that handles errors gets to see it."""


@dataclass(eq=False)
class Actor:
    """One of several who act at once; each waits at every boundary for its turn."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    turn: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        """Say that one has come to a boundary, and wait until one may pass."""
        self.arrived.set()
        await self.turn.wait()
        self.turn.clear()


_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


@dataclass
class Stage:
    """Decides what happens at each boundary."""

    fuse: int | None = None
    """How many boundaries are left until the process dies; nothing means that it lives."""
    lost: int = 0
    """How many of the next answers of the processor never arrive."""

    def pass_by(self) -> None:
        """Die here, if this is the boundary that was chosen."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise Died

    async def boundary(self) -> None:
        """Die here, or let somebody else go first."""
        self.pass_by()
        actor = _acting.get()
        if actor is not None:
            await actor.wait()

    async def play(self, *acts: Callable[[], Awaitable[None]], turns: Sequence[int]) -> None:
        """Let several act at once; `turns` says who goes on at each boundary, so that it can be played again."""
        async with asyncio.TaskGroup() as group:
            playing = [self._enter(group, act) for act in acts]
            number = 0
            while True:
                for actor, _ in playing:
                    await actor.arrived.wait()
                playing = [(actor, task) for actor, task in playing if not task.done()]
                if not playing:
                    return
                actor, _ = playing[(turns[number % len(turns)] if turns else 0) % len(playing)]
                number += 1
                actor.arrived.clear()
                actor.turn.set()

    def _enter(
        self, group: asyncio.TaskGroup, act: Callable[[], Awaitable[None]]
    ) -> tuple[Actor, "asyncio.Task[None]"]:
        actor = Actor()

        async def go() -> None:
            _acting.set(actor)
            # Everybody stands at the door before the first one goes in.
            await actor.wait()
            await act()

        task = group.create_task(go())
        task.add_done_callback(lambda _: actor.arrived.set())
        return actor, task


class StagedUnits(Units):
    """Units of work of which the stage may kill the process before and after each commit."""

    stage: Stage

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[UnitOfWork]:
        """Run one writing transaction between boundaries."""
        await self.stage.boundary()
        try:
            async with super().open() as work:
                yield work
                self.stage.pass_by()
        except IntegrityError as error:
            # Who was erased meanwhile is refused by the database, which the edge of the service makes a refusal.
            if NOBODYS not in str(error.orig):
                raise
            raise Refused from error
        self.stage.pass_by()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        """Give a unit that only reads; somebody may write before it and after it."""
        await self.stage.boundary()
        async with super().read() as work:
            yield work


class InProcess(stripe.HTTPClient):
    """Stripe's library in front, the sandbox behind, and no socket in between; answers are lost as the stage says."""

    name = "in-process"

    def __init__(self, sandbox: Sandbox, stage: Stage):
        super().__init__()
        self.sandbox = sandbox
        self.stage = stage

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Answer one request, unless the process dies before or after it, or the answer is lost."""
        await self.stage.boundary()
        given = {name.lower(): value for name, value in headers.items()}
        parts = urlsplit(url)
        asked = Asked(
            method=method.upper(),
            path=parts.path,
            query=parts.query.encode(),
            body=(post_data or "").encode(),
            authorization=given.get("authorization", ""),
            version=given.get("stripe-version", ""),
            key=given.get("idempotency-key"),
            content_type=given.get("content-type", ""),
        )
        answer = await self.sandbox.run(answering(asked))
        self.stage.pass_by()
        if self.stage.lost:
            self.stage.lost -= 1
            raise stripe.APIConnectionError("The answer was lost.", should_retry=True)
        return answer.body, answer.status, answer.headers

    async def sleep_async(self, secs: float) -> None:
        """Wait no time before a retry."""
        del secs

    async def close_async(self) -> None:
        """Hold nothing."""
