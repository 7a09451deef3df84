"""Stripe's webhook endpoint: 200 means committed; anything else makes Stripe send it again.

It speaks ASGI itself, as the endpoints that clients call all day long: after a campaign events come by the thousand.
"""

from http import HTTPMethod
from typing import cast

from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.types import HTTPScope, Receive, Scope, Send

from coop.billing.stripe_events import Intake
from coop.errors import Invalid

LARGEST = 512_000
"""Bytes; Stripe's events are a few kilobytes, invoices with many lines a few dozen."""


class TooLarge(Invalid):
    """That is larger than any event."""

    code = "event_too_large"


class CutShort(Invalid):
    """The connection closed before the whole event had come."""

    code = "event_cut_short"


@asgi("/hooks/stripe", copy_scope=False)
async def receive(scope: Scope, receive: Receive, send: Send) -> None:
    """Apply one event."""
    asked = cast("HTTPScope", scope)
    if asked["method"] != HTTPMethod.POST:
        raise MethodNotAllowedException(headers={"Allow": "POST"})
    signature = next((value for name, value in asked["headers"] if name == b"stripe-signature"), b"")
    intake: Intake = asked["litestar_app"].state.intake
    await intake.receive(await _body(receive), signature.decode("latin-1"))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body(receive: Receive) -> bytes:
    """Read the very bytes that were signed, as many as an event may have."""
    payload = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise CutShort
        payload += message["body"]
        if len(payload) > LARGEST:
            raise TooLarge
        if not message["more_body"]:
            return payload


routes = [receive]
