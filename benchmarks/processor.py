"""Something that answers as Stripe does about payments, at next to no cost: what is measured is who asks it.

Its answers are the sandbox's, of one payment that was really made there, with the ids of each checkout put in.
"""

import asyncio
import json
import re
import sys
from pathlib import Path

import httpx
import uvloop

from api.sandbox import Terms, Webhook, create_sandbox
from coop.clock import SystemClock

HERE = "http://127.0.0.1:1"
EMAIL = "somebody@example.org"
_ASKED = re.compile(rb"GET /v1/(checkout/sessions|payment_intents)/[a-z_]+_([0-9a-f]{32})[ ?]")


async def recorded(cents: int) -> dict[str, str]:
    """Make one payment in the sandbox; return its event, its checkout session and its payment, with OPERATION for the ids."""
    app = create_sandbox(
        url=HERE,
        clock=SystemClock().wall,
        # As with Stripe's asynchronous capture, the balance transaction comes later.
        terms=Terms(balance_delay=3600),
        webhook=Webhook(url=f"{HERE}/nowhere", secret="whsec_nobody", events=("checkout.session.completed",)),  # noqa: S106
        background=False,
    )
    async with (
        app.lifespan(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),  # type: ignore[arg-type]  # litestar names its messages more narrowly
            base_url=HERE,
            headers={"Authorization": "Bearer sk_test_bench"},
        ) as stripe,
    ):
        form = {
            "mode": "payment",
            "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": "usd",
            "line_items[0][price_data][unit_amount]": str(cents),
            "line_items[0][price_data][product_data][name]": "A year of membership",
            "client_reference_id": "OPERATION",
            "metadata[operation]": "OPERATION",
            "payment_intent_data[metadata][operation]": "OPERATION",
            "success_url": f"{HERE}/back",
            "cancel_url": f"{HERE}/back",
            "customer_email": EMAIL,
        }
        opened = (await stripe.post("/v1/checkout/sessions", data=form)).raise_for_status().json()
        await stripe.post(
            opened["url"], data={"number": "4242424242424242", "expiry": "12 / 34", "cvc": "123"}
        )
        session = (await stripe.get(f"/v1/checkout/sessions/{opened['id']}")).raise_for_status()
        payment = await stripe.get(
            f"/v1/payment_intents/{session.json()['payment_intent']}",
            params={"expand[]": "latest_charge.balance_transaction"},
        )
        events = (await stripe.get("/v1/events", params={"type": "checkout.session.completed"})).json()
    event = events["data"][0]
    names = {
        event["id"]: "evt_OPERATION",
        opened["id"]: "cs_test_OPERATION",
        payment.raise_for_status().json()["id"]: "pi_OPERATION",
    }
    told = {"event": json.dumps(event), "session": session.text, "payment": payment.text}
    for own, name in names.items():
        told = {what: text.replace(own, name) for what, text in told.items()}
    return told


class Processor(asyncio.Protocol):
    """One connection."""

    def __init__(self, told: dict[bytes, bytes]):
        self._told = told
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport  # type: ignore[assignment]  # a stream's

    def data_received(self, data: bytes) -> None:
        """Answer a request, which always comes whole."""
        asked = _ASKED.match(data)
        body = b"{}" if asked is None else self._told[asked[1]].replace(b"OPERATION", asked[2])
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        assert self._transport is not None  # noqa: S101 - connections are made before they bring anything
        self._transport.write(head % len(body) + body)


async def _serve(port: int, told: dict[bytes, bytes]) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Processor(told), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    pages = {b"checkout/sessions": found["session"].encode(), b"payment_intents": found["payment"].encode()}
    uvloop.run(_serve(int(sys.argv[1]), pages))
