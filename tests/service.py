"""The service as it runs in earnest: behind uvicorn on a loopback port, by the machine's own clock."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import msgspec
import uvicorn
from litestar import Litestar

from api.app import build, join
from coop.billing.stripe_gateway import StripeGateway
from coop.clock import MovableClock
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.conftest import Postbox
from tests.cooperative import found
from tests.postgres import free_port

PATIENCE = 60
"""Seconds until a server that was just started must answer."""


@dataclass
class Service:
    """A server that listens, and its database."""

    issuer: str
    units: Units


@functools.cache
def routes() -> Litestar:
    """Register the routes once for all services of a process, one of which runs at a time."""
    return build()


@contextlib.asynccontextmanager
async def serving(settings: Settings, *, worker: bool = False) -> AsyncIterator[Service]:
    """Serve a founded cooperative, with its `worker` in the same process if asked."""
    port = free_port()
    served = msgspec.structs.replace(settings, issuer=f"http://127.0.0.1:{port}", worker=worker)
    clock = MovableClock()
    app = join(routes(), Units(served, clock), StripeGateway(served), Postbox())
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, ws="none"))
    units = Units(served, clock)
    await found(units)
    running = asyncio.create_task(server.serve())
    await answers(f"{served.issuer}/health")
    yield Service(served.issuer, units)
    await units.close()
    server.should_exit = True
    await running


async def answers(url: str) -> None:
    """Wait until a server that was just started answers."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                await client.get(url)
                return
            await asyncio.sleep(0.05)
