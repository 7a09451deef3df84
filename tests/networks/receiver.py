"""A network's webhook receiver on a loopback port, as an admin would write one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web


@dataclass
class Received:
    """One request as it came in."""

    headers: dict[str, str]
    body: bytes

    @property
    def fact(self) -> dict[str, Any]:
        """The payload, decoded."""
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded


@dataclass
class Receiver:
    """Answers with `status`, or not at all while `silent`, and keeps what it was sent."""

    url: str = ""
    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    received: list[Received] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    awaited: int | None = None
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        """Take one webhook."""
        self.received.append(Received(dict(request.headers), await request.read()))
        self.arrived.set()
        if self.awaited is not None and len(self.received) >= self.awaited:
            self.enough.set()
        if self.silent:
            await asyncio.Event().wait()
        return web.Response(status=self.status, body=self.body or None, headers=self.headers)

    async def heard(self, number: int) -> None:
        """Wait until that many webhooks have come in."""
        self.awaited = number
        if len(self.received) < number:
            await self.enough.wait()

    @property
    def types(self) -> list[str]:
        """The types of the facts that came in, in order."""
        return [received.fact["type"] for received in self.received]


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Receiver]:
    """Listen on a free loopback port."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/hooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()
