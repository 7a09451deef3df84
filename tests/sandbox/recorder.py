# ruff: noqa: ANN401 - what ASGI passes is not typed
"""What went over the wire between the sandbox and whoever asked it, held against Stripe's published description."""

import json
from dataclasses import dataclass, field
from typing import Any

from api.sandbox.desk import public
from api.sandbox.forms import parse
from api.sandbox.sandbox import Sandbox
from tests.sandbox import published


@dataclass(frozen=True)
class Exchange:
    """A request and its answer."""

    method: str
    path: str
    sent: bytes
    status: int
    answer: bytes

    def faults(self, *, asked: bool) -> list[str]:
        """Return in what it differs from what is published; a refused request is looked at only if that is `asked`."""
        path = published.operation_of(self.method, self.path)
        if path is None:
            # What only Stripe's own hosted page asks, or nothing that there is.
            return []
        refused = self.status >= 400
        found = published.answer(self.method, path, refused=refused).faults_of(json.loads(self.answer))
        if asked or not refused:
            found += published.request_faults(self.method, path, parse(self.sent))
        return [f"{self.method} {path}: {fault}" for fault in found]


@dataclass
class Recorder:
    """Passes requests on to a sandbox, and keeps what went to its API and what came back."""

    app: Any
    exchanges: set[Exchange] = field(default_factory=set)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        sent, said, status = bytearray(), bytearray(), 0

        async def hear() -> Any:
            message = await receive()
            sent.extend(message.get("body", b""))
            return message

        async def tell(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            said.extend(message.get("body", b""))
            await send(message)

        await self.app(scope, hear, tell)
        if said:
            asked = bytes(sent) or scope["query_string"]
            self.exchanges.add(Exchange(scope["method"], scope["path"], asked, status, bytes(said)))

    def faults(self, *, asked: bool = False) -> list[str]:
        """Return all differences from what is published, each once."""
        return sorted({fault for one in self.exchanges for fault in one.faults(asked=asked)})


def faults_of_events(sandbox: Sandbox) -> list[str]:
    """Return in what the events that a sandbox has told, or would have told, differ from what is published."""
    events = sandbox.store.select("event")
    return sorted(
        {f"{event['type']}: {fault}" for event in events for fault in published.event_faults(public(event))}
    )
