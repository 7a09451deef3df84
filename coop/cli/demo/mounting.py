"""Puts the sandbox beside the cooperative on one port, and lets it follow the demo's business time."""

from datetime import datetime, timedelta

import anyio
from litestar.types import ASGIApp, Receive, Scope, Send

from coop.unit_of_work import Units

PREFIX = "/sandbox"


class Mounted:
    """Sends requests below `/sandbox` to the sandbox and all others to the cooperative.

    It stands around both, so that neither knows of the other: in production there is no sandbox to be reached.
    """

    def __init__(self, cooperative: ASGIApp, sandbox: ASGIApp):
        """Take both applications; the life of the sandbox is its caller's business."""
        self.cooperative = cooperative
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if path == PREFIX or path.startswith(PREFIX + "/"):
            inner = path.removeprefix(PREFIX) or "/"
            moved = dict(scope) | {"path": inner, "raw_path": inner.encode(), "root_path": ""}
            await self.sandbox(moved, receive, send)  # type: ignore[arg-type]  # a scope is a plain dict
        else:
            await self.cooperative(scope, receive, send)


class BusinessClock:
    """Tells the sandbox, which asks without waiting, the business time that the database holds."""

    def __init__(self, units: Units):
        """Look at the database of `units`."""
        self._units = units
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        """Return the present instant of business time, half a second old at most."""
        return self._units.clock.wall() + self._ahead

    async def look(self) -> None:
        """Read the offset once."""
        async with self._units.read() as work:
            self._ahead = work.now - work.wall

    async def follow(self) -> None:
        """Read the offset twice a second until cancelled."""
        while True:
            await self.look()
            await anyio.sleep(0.5)
