"""The sandbox at work: one store, one transaction at a time, and the tasks that run beside requests."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import httpx
import structlog

from api.sandbox import agenda, faults, webhooks
from api.sandbox.desk import Desk
from api.sandbox.objects import hooks
from api.sandbox.problems import StripeProblem
from api.sandbox.store import Store
from api.sandbox.terms import Terms
from coop.clock import SystemClock

log = structlog.get_logger()
T = TypeVar("T")
Instant = Callable[[], datetime]
_LONGEST_NAP = 0.5
_ENDPOINT = "we_sandboxconfigured"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where events go from the start; `old_secret` signs as well, while a secret is rotated."""

    url: str
    secret: str = field(repr=False)
    old_secret: str = field(default="", repr=False)
    events: tuple[str, ...] = ("*",)


class Sandbox:
    """What the HTTP layer, the pages and the tests hold in hand."""

    def __init__(
        self,
        *,
        url: str,
        clock: Instant,
        path: Path | None = None,
        webhook: Webhook | None = None,
        terms: Terms | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ):
        """`url` is where the sandbox is reached, without a slash at the end; `clock` tells business time."""
        self.url = url.rstrip("/")
        self.clock = clock
        self.terms = terms or Terms()
        self.webhook = webhook
        self.transport = transport
        self.store = Store(path)
        self.limiter: anyio.CapacityLimiter | None = None
        self.wall = SystemClock().wall
        self.keys_in_use: set[str] = set()
        """The idempotency keys of requests whose answer is on its way."""
        self._woken: anyio.Event | None = None
        if webhook is not None:
            with self.store.transaction():
                self._point(self.desk(), webhook)

    def _point(self, desk: Desk, webhook: Webhook) -> None:
        found = desk.find(_ENDPOINT)
        secrets = [secret for secret in (webhook.secret, webhook.old_secret) if secret]
        wanted = {"url": webhook.url, "enabled_events": list(webhook.events)}
        if found is None:
            hooks.make(desk, wanted, name=_ENDPOINT, secret=webhook.secret, old=webhook.old_secret)
        else:
            desk.save(found | wanted | {"_secrets": secrets, "status": "enabled"})

    def desk(self) -> Desk:
        """Return a desk at the present instant; use it inside a transaction."""
        now = self.clock().timestamp()
        return Desk(self.store, self.terms, url=self.url, now=now, wall=self.wall().timestamp())

    async def run(self, work: Callable[[Desk], T]) -> T:
        """Do `work` in one transaction, on a thread, after whatever else is going on."""
        if self.limiter is None:
            self.limiter = anyio.CapacityLimiter(1)
        return await anyio.to_thread.run_sync(self._transact, work, limiter=self.limiter)

    def _transact(self, work: Callable[[Desk], T]) -> T:
        refusal: StripeProblem | None = None
        with self.store.transaction():
            desk = self.desk()
            try:
                result = work(desk)
            except StripeProblem as problem:
                if not problem.keep:
                    raise
                refusal = problem
            agenda.work_off(desk, self.clock().timestamp(), most=50)
        if refusal is not None:
            raise refusal
        return result

    async def serve(self, work: Callable[[Desk], T]) -> T:
        """Do `work` for a request, and wake what goes on beside it."""
        try:
            return await self.run(work)
        finally:
            if self._woken is not None:
                self._woken.set()

    @contextmanager
    def using(self, key: str | None) -> Iterator[None]:
        """Refuse other requests under this key meanwhile."""
        self.keys_in_use.update({key} if key else ())
        try:
            yield
        finally:
            self.keys_in_use.difference_update({key} if key else ())

    async def tick(self) -> int:
        """Do what time has made due, and return how much it was; each call ends with nothing left to do."""
        total = 0
        while done := await self.run(lambda desk: agenda.work_off(desk, self.clock().timestamp(), most=100)):
            total += done
        return total

    async def deliver(self, *, everything: bool = False) -> int:
        """Send the webhooks that are due (or all that wait), each once; return how many were sent."""
        last = await self.run(
            lambda desk: desk.store.rows("SELECT max(seq) AS seq FROM deliveries")[0]["seq"]
        )
        sent: set[int] = set()

        def waiting(desk: Desk) -> list[webhooks.Delivery]:
            found = webhooks.ready(desk, most=500, everything=everything)
            return [one for one in found if one.number not in sent and one.number <= (last or 0)]

        batch = await self.run(waiting)
        if not batch:
            return 0
        async with self.client() as client:
            while batch:
                for delivery in batch:
                    sent.add(delivery.number)
                    answer = await webhooks.send(client, delivery)
                    await self.run(partial(webhooks.note, delivery=delivery, answer=answer))
                batch = await self.run(waiting)
        return len(sent)

    async def settle(self) -> None:
        """Do all that is due and send all that waits, until both are quiet."""
        while await self.tick() + await self.deliver():
            pass

    async def arm(self, fault: faults.Fault) -> None:
        """Arm a fault."""
        await self.run(lambda desk: faults.arm(desk, fault))

    def client(self) -> httpx.AsyncClient:
        """Return a client for webhooks: patient for ten seconds, following no redirect, asking no proxy."""
        return httpx.AsyncClient(
            transport=self.transport,
            timeout=self.terms.delivery_timeout,
            follow_redirects=False,
            trust_env=False,
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Do due tasks and send webhooks beside the requests, for as long as the context lasts."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_going)
            yield
            tasks.cancel_scope.cancel()

    async def _keep_going(self) -> None:
        while True:
            self._woken = anyio.Event()
            try:
                await self.tick()
                await self.deliver()
            except Exception:  # noqa: BLE001 - a failed round must not end the demo
                # The demo goes on; the next round tries again.
                await log.aexception("sandbox_round_failed")
            with anyio.move_on_after(_LONGEST_NAP):
                await self._woken.wait()

    def close(self) -> None:
        """Close the store."""
        self.store.close()
