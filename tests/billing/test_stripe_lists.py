"""Stripe's lists at Stripe's own pace."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from coop.billing.gateway import GatewayAway
from coop.billing.lists import Window
from coop.billing.stripe_gateway import StripeGateway
from coop.settings import Settings
from tests.conftest import START
from tests.sandbox.conftest import served

BUSY = {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests."}}


class Busy:
    """A Stripe that says so many times that it is asked too often."""

    def __init__(self, times: int):
        """Be busy `times` times."""
        self.left = times

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer a list, once there is time for it."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.left -= 1
        busy = self.left >= 0
        answer = BUSY if busy else {"object": "list", "data": [], "has_more": False, "url": "/"}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 429 if busy else 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


@pytest.mark.parametrize(("times", "answered"), [(0, True), (4, True), (5, False)])
async def test_who_asks_too_often_waits_and_gives_up_after_a_while(
    monkeypatch: pytest.MonkeyPatch, times: int, *, answered: bool
) -> None:
    monkeypatch.setattr("coop.billing.stripe_lists.PAUSES", (0.0, 0.0, 0.0, 0.0))
    window = Window(since=START - timedelta(days=1), until=START)
    async with served(lambda _url: Busy(times)) as url:
        gateway = StripeGateway(
            msgspec.structs.replace(
                Settings(issuer="http://127.0.0.1:8000", demo=True),
                stripe_api_base=url,
                stripe_secret_key="sk_test_busy",
            )
        )
        try:
            if answered:
                assert (await gateway.lists.movements(window, None)).items == ()
            else:
                with pytest.raises(GatewayAway):
                    await gateway.lists.movements(window, None)
        finally:
            await gateway.close()
