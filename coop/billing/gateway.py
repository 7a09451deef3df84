"""The port to the card processor: what the cooperative asks of it, in structs of its own.

Nothing of Stripe's library leaves `stripe_gateway` and `stripe_reading`; the sandbox is reached through that same adapter, so there is no
second code path. Every call that creates something names our stored operation, so that a lost answer can be asked for
again without charging twice.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable
from uuid import UUID

import msgspec

from coop.errors import Invalid, Refused, Unavailable
from coop.money import Money

if TYPE_CHECKING:
    from coop.billing.cards import Cards
    from coop.billing.lists import Lists


class GatewayAway(Unavailable):
    """The card processor does not answer. Nothing was changed; try again in a minute."""

    code = "gateway_unavailable"


class GatewayRefused(Refused):
    """The card processor refused this. Nothing was charged."""

    code = "gateway_refused"


class NotVisible(Refused):
    """The card processor does not show that object yet."""

    code = "not_visible_yet"


class BadSignature(Invalid):
    """The signature does not match the message."""

    code = "bad_signature"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a hosted checkout is to ask for; `operation` is ours and lets the answer be found again."""

    operation: UUID
    age: timedelta
    """How long ago the operation was first tried: keys are forgotten after a day."""
    amount: Money
    currency: str
    description: str
    yearly: bool
    """Charged each year."""
    monthly: bool = False
    """Charged each month, until it is stopped."""
    instalments: int = 0
    """The amount is the first of so many equal charges, spread over a year; 0 charges it once."""
    success_url: str
    cancel_url: str
    expires_at: datetime
    customer: str | None = None
    """Who the payer is at the processor already, so that one card serves everything that is charged by itself."""
    email: str | None = None
    locale: str = "en"


class HostedCheckout(msgspec.Struct, frozen=True, kw_only=True):
    """The page on which a person pays, at the processor."""

    id: str
    url: str


class CheckoutState(msgspec.Struct, frozen=True, kw_only=True):
    """A hosted checkout as the processor sees it now; `payment` is empty for a subscription."""

    id: str
    operation: UUID | None
    status: Literal["open", "complete", "expired"]
    paid: bool
    amount: Money
    currency: str
    url: str | None = None
    payment: str | None = None
    invoice: str | None = None
    subscription: str | None = None
    customer: str | None = None


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A movement on our balance at the processor, in the home currency: amount = fee + net."""

    id: str
    amount: Money
    fee: Money
    net: Money


class PaymentState(msgspec.Struct, frozen=True, kw_only=True):
    """A payment; `settlement` stays empty until the processor has booked it."""

    id: str
    charge: str | None
    succeeded: bool
    failed: bool
    """It will not succeed without the person trying again (a delayed payment that bounced)."""
    amount: Money
    currency: str
    refunded: Money
    settlement: Settlement | None = None
    operation: UUID | None = None
    """Of the checkout that it paid; nothing for an invoice's."""


class SubscriptionState(msgspec.Struct, frozen=True, kw_only=True):
    """An automatic yearly renewal, or a monthly gift."""

    id: str
    operation: UUID | None
    status: str
    stops: bool
    """It ends with the period that is paid for."""
    paused: bool = False
    """Its invoices are voided rather than charged."""
    charges: Money | None = None
    """What is charged each time."""
    next_charge: datetime | None = None
    """When that is done next: the end of the period that is paid for."""
    customer: str | None = None


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """How a subscription is to go on."""

    currency: str
    stops: bool
    amount: Money | None = None
    """What it is to charge from now on, if that changes."""
    paused: bool | None = None
    """Whether it is to charge nothing, if that changes."""
    charge_at: datetime | None = None
    """When it is to charge next, if that is not its own choice."""


class InvoiceState(msgspec.Struct, frozen=True, kw_only=True):
    """A bill of a subscription; `payment` names the payment that paid it."""

    id: str
    status: str
    amount: Money
    """What was paid."""
    currency: str
    reason: str
    subscription: str | None
    operation: UUID | None
    attempts: int = 0
    payment: str | None = None
    declined: str | None = None
    """The processor's code for why the card was declined the last time."""
    asks: bool = False
    """The card's bank wants its holder to confirm."""
    next_try: datetime | None = None
    """When the card is tried again; empty if it is not."""
    pay_url: str | None = None
    """A page of the processor's on which this invoice can be paid or confirmed."""


class RefundState(msgspec.Struct, frozen=True, kw_only=True):
    """Money on its way back."""

    id: str
    operation: UUID | None
    payment: str | None
    status: str
    amount: Money


class DisputeState(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that its bank takes back; `fee` is what the processor asks for it."""

    id: str
    payment: str | None
    status: Literal["warning", "open", "won", "lost"]
    withdrawn: bool
    """The money, and the fee, have been taken from our balance."""
    amount: Money
    fee: Money
    fee_returned: Money


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A verified webhook event: only what it is about is believed, never what it carries."""

    id: str
    type: str
    object_id: str
    live: bool
    account: str | None = None
    operation: UUID | None = None
    """Of ours, that it says it is about: where to look first, no more."""
    payment: str | None = None
    """The payment by which it says that a checkout was paid."""


@runtime_checkable
class Gateway(Protocol):
    """The card processor. Calls raise `GatewayAway`, `GatewayRefused` or `NotVisible` and nothing else."""

    @property
    def lists(self) -> "Lists":
        """What it lists, page by page."""

    @property
    def cards(self) -> "Cards":
        """What it does with cards that it keeps."""

    async def create_checkout(self, order: Order) -> HostedCheckout:
        """Open a hosted checkout, or return the one that this operation opened before."""

    async def fetch_checkout(self, checkout: str) -> CheckoutState:
        """Return a hosted checkout as it is now."""

    async def find_checkout(self, operation: UUID, since: datetime) -> CheckoutState | None:
        """Return the hosted checkout that `operation` opened after `since`, if its answer was lost."""

    async def expire_checkout(self, checkout: str) -> CheckoutState:
        """Close a hosted checkout, so that nobody pays it any more; return how it ended."""

    async def fetch_payment(self, payment: str) -> PaymentState:
        """Return a payment as it is now."""

    async def payment_of_charge(self, charge: str) -> str | None:
        """Return the payment to which a charge belongs."""

    async def fetch_subscription(self, subscription: str) -> SubscriptionState:
        """Return a subscription as it is now."""

    async def cancel_subscription(self, subscription: str) -> SubscriptionState:
        """End a subscription at once, with whatever it has not collected yet; repeating it changes nothing."""

    async def change_subscription(self, subscription: str, wanted: Renewal) -> SubscriptionState:
        """Have a subscription go on as `wanted`, with nothing charged or given back now; repeating it changes nothing."""

    async def finish_subscription(self, subscription: str) -> SubscriptionState:
        """Have instalments end by themselves a year after they began; repeating it changes nothing."""

    async def fetch_invoice(self, invoice: str) -> InvoiceState:
        """Return an invoice as it is now."""

    async def list_invoices(self, subscription: str) -> list[InvoiceState]:
        """Return the latest invoices of a subscription, newest first."""

    async def refund(self, *, operation: UUID, age: timedelta, payment: str, amount: Money) -> RefundState:
        """Give `amount` of a payment back, once for each operation."""

    async def fetch_refund(self, refund: str) -> RefundState:
        """Return a refund as it is now."""

    async def list_refunds(
        self, payment: str | None = None, *, since: datetime | None = None
    ) -> list[RefundState]:
        """Return refunds, whoever made them: of one payment, or all since an instant."""

    async def fetch_dispute(self, dispute: str) -> DisputeState:
        """Return a dispute as it is now."""

    async def list_disputes(self, since: datetime) -> list[DisputeState]:
        """Return the disputes opened after `since`."""

    def read_event(self, payload: bytes, signature: str, *, wall: datetime) -> Notice:
        """Verify a webhook and return what it is about; raise `BadSignature` or `Invalid`."""

    async def close(self) -> None:
        """Give the connections back."""
