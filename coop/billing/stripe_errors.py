"""Stripe's errors, told apart: away, refused, not there (yet)."""

import contextlib
from collections.abc import Iterator

import structlog

from coop.billing.gateway import GatewayAway, GatewayRefused, NotVisible
from coop.billing.stripe_library import stripe

log = structlog.get_logger("coop.stripe")


@contextlib.contextmanager
def mapped() -> Iterator[None]:
    """Turn the library's errors into ours; what Stripe said in private goes to the log."""
    try:
        yield
    except stripe.InvalidRequestError as error:
        log.warning("stripe_refused", code=error.code, param=error.param, request=error.request_id)
        if error.code == "resource_missing":
            raise NotVisible from error
        raise GatewayRefused from error
    except (stripe.CardError, stripe.IdempotencyError) as error:
        log.warning("stripe_refused", code=error.code, request=error.request_id)
        raise GatewayRefused from error
    except stripe.StripeError as error:
        log.warning("stripe_away", error=type(error).__name__, status=error.http_status)
        raise GatewayAway(retry_after=30) from error
    except Exception as error:
        # The library maps failures before the headers, but not those while the body is read.
        if not isinstance(error, _on_the_wire()):
            raise
        log.warning("stripe_away", error=type(error).__name__)
        raise GatewayAway(retry_after=30) from error


def _on_the_wire() -> tuple[type[Exception], ...]:
    # Whoever has not called out by it yet has not imported it, either (see `coop.fetching`).
    import aiohttp  # noqa: PLC0415

    return TimeoutError, aiohttp.ClientError
