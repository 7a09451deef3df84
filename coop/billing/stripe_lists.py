"""Stripe's lists, one page a call, at Stripe's own pace."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import anyio
import structlog

from coop.billing import stripe_reading as reading
from coop.billing.gateway import Notice
from coop.billing.lists import Movement, Page, Renewing, Window
from coop.billing.stripe_errors import mapped
from coop.billing.stripe_library import stripe
from coop.money import ZERO, Money

if TYPE_CHECKING:
    from stripe.params import (
        BalanceTransactionListParams,
        EventListParams,
        SubscriptionListParams,
    )

PAGE = 100
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait each time Stripe says that we ask too often; after the last, the next hour goes on from there."""

log = structlog.get_logger("coop.stripe")
T = TypeVar("T")


class StripeLists:
    """The `Lists` of Stripe, or of the sandbox, through the client of the adapter."""

    def __init__(self, client: stripe.StripeClient):
        """Ask through `client`."""
        self._client = client

    async def events(self, window: Window, after: str | None, types: Sequence[str]) -> Page[Notice]:
        """Return events of these types: what webhooks told, or would have."""
        params: EventListParams = {
            "limit": PAGE,
            "created": {"gte": _stamp(window.since), "lte": _stamp(window.until)},
            "types": list(types),
        }
        if after is not None:
            params["starting_after"] = after
        found = await self._ask(lambda: self._client.v1.events.list_async(params))
        items = tuple(
            Notice(
                id=event.id,
                type=event.type,
                object_id=str(event.data.object["id"]) if "id" in event.data.object else "",
                live=event.livemode,
                account=event.account if "account" in event else None,
            )
            for event in found.data
        )
        return Page(items=items, after=items[-1].id if found.has_more and items else None)

    async def movements(self, window: Window, after: str | None) -> Page[Movement]:
        """Return balance transactions."""
        params: BalanceTransactionListParams = {
            "limit": PAGE,
            "created": {"gte": _stamp(window.since), "lte": _stamp(window.until)},
        }
        if after is not None:
            params["starting_after"] = after
        found = await self._ask(lambda: self._client.v1.balance_transactions.list_async(params))
        items = tuple(
            Movement(
                id=moved.id,
                type=moved.type,
                source=reading.id_of(moved.source),
                amount=Money(moved.amount),
                fee=Money(moved.fee),
                net=Money(moved.net),
                currency=moved.currency,
                created=_instant(moved.created),
            )
            for moved in found.data
        )
        return Page(items=items, after=items[-1].id if found.has_more and items else None)

    async def subscriptions(self, window: Window, after: str | None) -> Page[Renewing]:
        """Return subscriptions in any state."""
        params: SubscriptionListParams = {
            "limit": PAGE,
            "created": {"gte": _stamp(window.since), "lte": _stamp(window.until)},
            "status": "all",
            "expand": [f"data.{field}" for field in _EXPANDED],
        }
        if after is not None:
            params["starting_after"] = after
        found = await self._ask(lambda: self._client.v1.subscriptions.list_async(params))
        items = tuple(_renewing(one) for one in found.data)
        return Page(items=items, after=items[-1].state.id if found.has_more and items else None)

    async def subscription(self, subscription: str) -> Renewing:
        """Return one subscription."""
        return _renewing(
            await self._ask(
                lambda: self._client.v1.subscriptions.retrieve_async(
                    subscription, {"expand": list(_EXPANDED)}
                )
            )
        )

    async def invoice_of(self, payment: str) -> str | None:
        """Return the invoice that a payment paid, if it paid one."""
        found = await self._ask(
            lambda: self._client.v1.invoice_payments.list_async(
                {"payment": {"type": "payment_intent", "payment_intent": payment}, "status": "paid"}
            )
        )
        return next((reading.id_of(paid.invoice) for paid in found.data), None)

    async def balance(self, currency: str) -> Money:
        """Return all that we have at the processor in a currency, available or not yet."""
        found = await self._ask(self._client.v1.balance.retrieve_async)
        # One type would do for both, which are alike; the library has two.
        parts = (
            *((part.currency, part.amount) for part in found.available),
            *((part.currency, part.amount) for part in found.pending),
        )
        return sum((Money(amount) for money, amount in parts if money == currency), ZERO)

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make one call; wait, longer each time, while Stripe says that we ask too often."""
        for pause in PAUSES:
            try:
                return await call()
            except stripe.RateLimitError:
                log.info("stripe_rate_limit", duration=pause)
                await anyio.sleep(pause)
            except stripe.StripeError:
                break
        with mapped():
            return await call()


_EXPANDED = ("customer", "default_payment_method")


def _stamp(instant: datetime) -> int:
    return int(instant.timestamp())


def _instant(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)


def _renewing(found: stripe.Subscription) -> Renewing:
    customer = found.customer
    deleted = not isinstance(customer, str) and bool(getattr(customer, "deleted", False))
    items = found["items"].data
    price = items[0].price
    recurring = price.recurring
    every = 1 if recurring is None else recurring.interval_count
    rhythm = "" if recurring is None else recurring.interval
    plain = len(items) == 1 and price.unit_amount is not None
    return Renewing(
        state=reading.subscription(found),
        customer=customer if isinstance(customer, str) else customer.id,
        customer_deleted=deleted,
        amount=Money((price.unit_amount or 0) * (items[0].quantity or 1)) if plain else None,
        currency=found.currency,
        interval=rhythm if every == 1 else f"{every} {rhythm}",
        has_card=found.collection_method != "charge_automatically" or _chargeable(found, customer),
        paused=found.pause_collection is not None,
        created=_instant(found.created),
        period_begins=_instant(items[0].current_period_start),
        period_ends=_instant(items[0].current_period_end),
        email=customer.email if isinstance(customer, stripe.Customer) and not deleted else None,
    )


def _chargeable(found: stripe.Subscription, customer: "str | stripe.Customer") -> bool:
    """Tell whether there is a card to charge; one that was taken off the customer names none any more."""
    method = found.default_payment_method
    if isinstance(method, stripe.PaymentMethod) and method.customer is not None:
        return True
    if found.default_source is not None:
        return True
    if isinstance(customer, str) or getattr(customer, "deleted", False):
        return False
    settings = customer.invoice_settings
    named = settings is not None and settings.default_payment_method is not None
    return named or customer.default_source is not None
