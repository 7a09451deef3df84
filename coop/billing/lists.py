"""What the card processor lists, page by page: how reconciliation and imports see what nobody told us of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar, runtime_checkable

import msgspec

from coop.billing.gateway import Notice, SubscriptionState
from coop.money import Money

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A hundred objects at most, the newest first; `after` asks for the next page, and is empty on the last."""

    items: tuple[T, ...]
    after: str | None = None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Objects created from `since` to `until`, both included, to the second."""

    since: datetime
    until: datetime


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One balance transaction: every cent that moves at the processor is in exactly one. amount = fee + net."""

    id: str
    type: str
    source: str | None
    """The charge, refund, dispute or payout that moved it."""
    amount: Money
    fee: Money
    net: Money
    currency: str
    created: datetime


class Renewing(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription with all that decides what it will charge, and whether it can."""

    state: SubscriptionState
    customer: str
    customer_deleted: bool
    amount: Money | None
    """Nothing if it has several prices, or one that is not a plain amount."""
    currency: str
    interval: str
    """`year`, or another rhythm such as `3 month`."""
    has_card: bool
    """Something is on file with which the next invoice can be paid, or nobody is charged by itself."""
    paused: bool
    created: datetime
    period_begins: datetime
    period_ends: datetime
    email: str | None = None


@runtime_checkable
class Lists(Protocol):
    """The lists of the card processor; calls raise what those of `Gateway` raise."""

    async def events(self, window: Window, after: str | None, types: Sequence[str]) -> Page[Notice]:
        """Return events of these types: what webhooks told, or would have."""

    async def movements(self, window: Window, after: str | None) -> Page[Movement]:
        """Return balance transactions."""

    async def subscriptions(self, window: Window, after: str | None) -> Page[Renewing]:
        """Return subscriptions in any state."""

    async def subscription(self, subscription: str) -> Renewing:
        """Return one subscription."""

    async def invoice_of(self, payment: str) -> str | None:
        """Return the invoice that a payment paid, if it paid one."""

    async def balance(self, currency: str) -> Money:
        """Return all that we have at the processor in a currency, available or not yet."""
