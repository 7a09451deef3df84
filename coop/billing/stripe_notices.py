"""Stripe's webhooks as they arrive: whose signature they bear, and what they are about."""

import hashlib
import hmac
import re
from datetime import datetime, timedelta

import msgspec

from coop.billing import stripe_shapes
from coop.billing.gateway import BadSignature, Notice
from coop.errors import Invalid

TOLERANCE = timedelta(seconds=300)

_SIGNATURE = re.compile(r"(?:^|,)v1=([0-9a-f]{64})(?=,|$)", re.ASCII)
_TIMESTAMP = re.compile(r"(?:^|,)t=([0-9]{1,12})(?=,|$)", re.ASCII)


def verify(payload: bytes, signature: str, *, secrets: str, wall: datetime) -> None:
    """Refuse a message that none of the `secrets`, separated by commas, has signed within five minutes of `wall`."""
    # Done here rather than by the library, which accepts timestamps from the future and reads its own clock.
    stamp = _TIMESTAMP.search(signature[:2000])
    given = _SIGNATURE.findall(signature[:2000])
    if stamp is None or not given:
        raise BadSignature
    signed = f"{stamp[1]}.".encode() + payload
    # Two secrets are valid while one is being rotated, and Stripe then sends two v1 values.
    known = [part.strip() for part in secrets.split(",") if part.strip()]
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in known]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in given[:8]):
        raise BadSignature
    ahead = timedelta(seconds=int(stamp[1]) - wall.timestamp())
    if ahead > TOLERANCE or -ahead > TOLERANCE:
        raise BadSignature("The signature is too old, or from the future; check the clocks.")


def read(payload: bytes) -> Notice:
    """Return what a verified message is about; raise `Invalid` if it is no event."""
    try:
        return stripe_shapes.event(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Invalid("That is not an event.") from error
