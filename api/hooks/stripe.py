"""Stripe's webhook endpoint: 200 means committed; anything else makes Stripe send it again."""

from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency

from coop.billing import stripe_events
from coop.billing.gateway import Gateway
from coop.errors import Invalid
from coop.unit_of_work import Units

LARGEST = 512_000
"""Bytes; Stripe's events are a few kilobytes, invoices with many lines a few dozen."""


class TooLarge(Invalid):
    """That is larger than any event."""

    code = "event_too_large"


@post("/hooks/stripe", status_code=200, include_in_schema=False)
async def receive(
    request: Request[object, object, State],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
) -> Response[bytes]:
    """Apply one event."""
    payload = b""
    # Read by hand and bounded, since the signature is over the very bytes.
    async for chunk in request.stream():
        payload += chunk
        if len(payload) > LARGEST:
            raise TooLarge
    await stripe_events.receive(units, gateway, payload, request.headers.get("stripe-signature", ""))
    return Response(b"", status_code=200)


routes = [receive]
