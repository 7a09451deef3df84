# ruff: noqa: ANN401 - what Stripe returns and what ASGI passes is typed by neither
"""A sandbox behind a real socket, Stripe's own SDK in front of it, and a sink that webhooks fall into."""

import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import stripe
import uvicorn

from api.sandbox import Sandbox, Terms, Webhook, create_sandbox
from coop.clock import FixedClock
from tests.sandbox.recorder import Recorder, faults_of_events

SECRET = "whsec_test"
KEY = "sk_test_sandbox123456"
STRIPE_CLI = sorted(Path(__file__).parents[2].glob("node_modules/@stripe/cli-*/bin/stripe"))
"""Stripe's command line, where npm has brought it."""
collect_ignore = [] if STRIPE_CLI else ["test_stripe_cli.py"]
AT_ONCE = Terms(balance_delay=0, dispute_delay=0, delivery_delays=(60, 120))


@dataclass
class Sink:
    """Takes webhooks and answers with `answers`, first to last, then with 200."""

    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take one webhook."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(body)
        self.signatures.append(dict(scope["headers"])[b"stripe-signature"].decode())
        status = self.answers.pop(0) if self.answers else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    @property
    def types(self) -> list[str]:
        """The types of the events that fell in, in order."""
        return [json.loads(body)["type"] for body in self.bodies]

    def clear(self) -> None:
        """Forget what fell in."""
        self.bodies.clear()
        self.signatures.clear()


@asynccontextmanager
async def served(make: Callable[[str], Any]) -> AsyncIterator[str]:
    """Serve an application on a free port of the loopback; `make` is told its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(make(url), log_level="critical", ws="none", lifespan="on")
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        while not server.started:
            await anyio.lowlevel.checkpoint()
        try:
            yield url
        finally:
            server.should_exit = True


@dataclass
class World:
    """Everything a test of the sandbox needs."""

    url: str
    sandbox: Sandbox
    clock: FixedClock
    sink: Sink
    stripe: stripe.StripeClient
    browser: httpx.AsyncClient

    async def settle(self) -> list[str]:
        """Let the sandbox do all that is due, and return the types of the events that came of it."""
        self.sink.clear()
        await self.sandbox.settle()
        return self.sink.types

    async def pass_time(self, **by: float) -> list[str]:
        """Move business time and settle."""
        self.clock.advance(timedelta(**by))
        return await self.settle()

    async def post(self, path: str, body: str = "", **headers: str) -> httpx.Response:
        """Post to the API without the SDK."""
        return await self.browser.post(
            f"{self.url}{path}",
            content=body,
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
            | headers,
        )

    async def get(self, path: str) -> httpx.Response:
        """Ask the API without the SDK."""
        return await self.browser.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {KEY}"})

    async def session(self, mode: str = "payment", amount: int = 2500, **more: Any) -> Any:
        """Begin a checkout."""
        params: dict[str, Any] = {
            "mode": mode,
            "success_url": "https://coop.example/join/return?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://coop.example/join",
            "client_reference_id": "member-1",
            "metadata": {"operation": "op-1"},
        }
        if mode != "setup":
            data: dict[str, Any] = {
                "currency": "usd",
                "unit_amount": amount,
                "product_data": {"name": "A year of membership"},
            }
            if mode == "subscription":
                data["recurring"] = {"interval": "year"}
            params["line_items"] = [{"price_data": data, "quantity": 1}]
        return await self.stripe.v1.checkout.sessions.create_async(params | more)  # type: ignore[arg-type]

    async def enter(self, session: Any, number: str = "4242424242424242") -> httpx.Response:
        """Enter a card on the hosted page."""
        return await self.browser.post(
            session.url, data={"number": number, "expiry": "12 / 34", "cvc": "123"}
        )

    async def bought(self, mode: str = "payment", number: str = "4242424242424242", **more: Any) -> Any:
        """Return a session that was completed on the hosted page, with what it led to."""
        session = await self.session(mode, **more)
        answer = await self.enter(session, number)
        assert answer.status_code == 303, re.findall(r"<h2>(.*?)</h2>|error\">(.*?)<", answer.text)
        return await self.stripe.v1.checkout.sessions.retrieve_async(session.id)


@asynccontextmanager
async def world(terms: Terms = AT_ONCE, *, socket: bool = True, **more: Any) -> AsyncIterator[World]:
    """Open a sandbox; without a `socket` only `post`, `get` and `browser` reach it, and sooner."""
    clock, sink = FixedClock(datetime(2027, 3, 15, 12, tzinfo=UTC)), Sink()
    made: list[Sandbox] = []
    recorders: list[Recorder] = []

    def make(url: str) -> Recorder:
        app = create_sandbox(
            url=url,
            clock=clock.wall,
            terms=terms,
            webhook=Webhook(url="http://sink.test/hooks", secret=SECRET),
            transport=httpx.ASGITransport(sink),
            **({"background": False} | more),
        )
        made.append(app.state.sandbox)
        recorders.append(Recorder(app))
        return recorders[0]

    http = stripe.AIOHTTPClient()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(http.close_async)
        if socket:
            url = await stack.enter_async_context(served(make))
            browser = httpx.AsyncClient(trust_env=False)
        else:
            url = "http://sandbox.test"
            transport = httpx.ASGITransport(make(url))
            stack.callback(made[0].close)
            browser = httpx.AsyncClient(transport=transport)
        await stack.enter_async_context(browser)
        client = stripe.StripeClient(
            KEY, base_addresses={"api": url}, http_client=http, max_network_retries=0
        )
        yield World(url, made[0], clock, sink, client, browser)
        # Whatever a test was about: all that the sandbox took and said had Stripe's published shape.
        assert recorders[0].faults() == []
        assert faults_of_events(made[0]) == []


@pytest.fixture
async def shop() -> AsyncIterator[World]:
    """A sandbox behind a socket, whose balances and disputes come at once."""
    async with world() as made:
        yield made


@pytest.fixture
async def counter() -> AsyncIterator[World]:
    """The same without a socket and without Stripe's SDK, for tables of requests."""
    async with world(socket=False) as made:
        yield made
