"""The Stripe adapter: the one place that speaks to Stripe, or to the sandbox, which speaks as Stripe does."""

import contextlib
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import quote
from uuid import UUID

import msgspec
import structlog

from coop.billing import stripe_notices, stripe_shapes
from coop.billing import stripe_reading as reading
from coop.billing.cards import Cards
from coop.billing.gateway import (
    CheckoutState,
    DisputeState,
    GatewayRefused,
    HostedCheckout,
    InvoiceState,
    Notice,
    Order,
    PaymentState,
    RefundState,
    Renewal,
    SubscriptionState,
)
from coop.billing.lists import Lists
from coop.billing.stripe_cards import StripeCards
from coop.billing.stripe_errors import mapped as _mapped
from coop.billing.stripe_library import stripe
from coop.billing.stripe_lists import StripeLists
from coop.clock import anniversary
from coop.errors import Invalid
from coop.money import Money
from coop.settings import Settings

if TYPE_CHECKING:
    from stripe import RequestOptions
    from stripe.params import RefundListParams, SubscriptionUpdateParams
    from stripe.params.checkout import SessionCreateParams

TIMEOUT_SECONDS = 20
RETRIES = 1
KEYS_LIVE = timedelta(hours=23)
"""Stripe forgets idempotency keys after a day; an hour is left for clocks that disagree."""

_SETTLED = "?expand[]=latest_charge.balance_transaction"
"""What to show along with a payment: how it was booked on our balance."""
_ENDED = ("canceled", "incomplete_expired")
_INTENT = "payments.data.payment.payment_intent"
"""What to show along with an invoice: the payment that paid it, or was to."""

log = structlog.get_logger("coop.stripe")


class StripeGateway:
    """Stripe behind the `Gateway` protocol; going live changes only the key and the base address."""

    def __init__(self, settings: Settings, http: stripe.HTTPClient | None = None):
        """Connect lazily, at the first call; `http` is how bytes travel, if not over the network."""
        self._settings = settings
        self._live = settings.stripe_secret_key.startswith(("sk_live_", "rk_live_"))
        self._given = http
        self._headers = {
            "Authorization": f"Bearer {settings.stripe_secret_key or 'unset'}",
            "Stripe-Version": stripe.api_version,
        }

    # Made when they are first needed: a process that serves sign-ins only never asks Stripe.

    @cached_property
    def _http(self) -> stripe.HTTPClient:
        return self._given or stripe.AIOHTTPClient(timeout=TIMEOUT_SECONDS)

    @cached_property
    def _client(self) -> stripe.StripeClient:
        return stripe.StripeClient(
            self._settings.stripe_secret_key or "unset",
            base_addresses={"api": self._settings.stripe_api_base},
            http_client=self._http,
            # A retry resends the same key, so it can do nothing twice.
            max_network_retries=RETRIES,
        )

    @cached_property
    def lists(self) -> Lists:
        """Return what Stripe lists, page by page."""
        return StripeLists(self._client)

    @cached_property
    def cards(self) -> Cards:
        """Return what Stripe does with the cards that it keeps."""
        return StripeCards(self._client)

    async def close(self) -> None:
        """Give the connections back."""
        # Closing would otherwise first open a session.
        if "_http" in vars(self) and getattr(self._http, "_cached_session", None) is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]  # the library leaves it bare

    async def create_checkout(self, order: Order) -> HostedCheckout:
        """Open a hosted checkout, or return the one that this operation opened before."""
        if order.age > KEYS_LIVE:
            found = await self.find_checkout(
                order.operation, order.expires_at - order.age - timedelta(days=2)
            )
            if found is not None and found.url is None:
                raise GatewayRefused("That payment page has closed. Start again.")
            if found is not None and found.url is not None:
                return HostedCheckout(id=found.id, url=found.url)
        operation = str(order.operation)
        metadata = {"operation": operation}
        params: SessionCreateParams = {
            "mode": "subscription" if order.yearly or order.monthly or order.instalments else "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": order.currency,
                        "unit_amount": order.amount.minor,
                        "product_data": {"name": order.description},
                    },
                }
            ],
            "client_reference_id": operation,
            "metadata": metadata,
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "expires_at": int(order.expires_at.timestamp()),
            "locale": cast("Literal['en', 'pl', 'fr']", order.locale),
        }
        if order.yearly or order.monthly or order.instalments:
            params["line_items"][0]["price_data"]["recurring"] = (
                {"interval": "year"}
                if order.yearly
                else {"interval": "month", "interval_count": 12 // (order.instalments or 12)}
            )
            params["subscription_data"] = {"metadata": metadata, "description": order.description}
        else:
            params["payment_intent_data"] = {"metadata": metadata, "description": order.description}
        if order.customer is not None:
            params["customer"] = order.customer
        elif order.email is not None:
            params["customer_email"] = order.email
        with _mapped():
            session = await self._client.v1.checkout.sessions.create_async(
                params, self._once("checkout", order.operation, order.age)
            )
        if session.url is None:
            # A replayed answer of a session that has ended meanwhile.
            raise GatewayRefused("That payment page has closed. Start again.")
        return HostedCheckout(id=session.id, url=session.url)

    async def fetch_checkout(self, checkout: str) -> CheckoutState:
        """Return a hosted checkout as it is now."""
        with _mapped():
            return reading.checkout(await self._client.v1.checkout.sessions.retrieve_async(checkout))

    async def find_checkout(self, operation: UUID, since: datetime) -> CheckoutState | None:
        """Return the hosted checkout that `operation` opened after `since`, if its answer was lost."""
        with _mapped():
            sessions = await self._client.v1.checkout.sessions.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": 100}
            )
            async for session in sessions.auto_paging_iter():
                if reading.operation_of(session.metadata) == operation:
                    return reading.checkout(session)
        return None

    async def expire_checkout(self, checkout: str) -> CheckoutState:
        """Close a hosted checkout, so that nobody pays it any more; return how it ended."""
        try:
            with _mapped():
                return reading.checkout(await self._client.v1.checkout.sessions.expire_async(checkout))
        except GatewayRefused:
            # Only an open one can be closed: it was paid, or it has closed by itself.
            return await self.fetch_checkout(checkout)

    async def fetch_payment(self, payment: str) -> PaymentState:
        """Return a payment as it is now."""
        # The one call of the way from an event to the books: asked for and read without the library's objects.
        with _mapped():
            url = f"{self._settings.stripe_api_base}/v1/payment_intents/{quote(payment, safe='')}{_SETTLED}"
            body, status, _ = await self._http.request_with_retries_async(
                "get", url, self._headers, max_network_retries=RETRIES
            )
        if status == HTTPStatus.OK:
            with contextlib.suppress(msgspec.MsgspecError):
                return stripe_shapes.payment(body)
        # What is wrong with another answer is the library's to tell.
        with _mapped():
            intent = await self._client.v1.payment_intents.retrieve_async(
                payment, {"expand": ["latest_charge.balance_transaction"]}
            )
        return reading.payment(intent)

    async def payment_of_charge(self, charge: str) -> str | None:
        """Return the payment to which a charge belongs."""
        with _mapped():
            found = await self._client.v1.charges.retrieve_async(charge)
        return reading.id_of(found.payment_intent)

    async def fetch_subscription(self, subscription: str) -> SubscriptionState:
        """Return a subscription as it is now."""
        with _mapped():
            return reading.subscription(await self._client.v1.subscriptions.retrieve_async(subscription))

    async def cancel_subscription(self, subscription: str) -> SubscriptionState:
        """End a subscription at once, with whatever it has not collected yet; repeating it changes nothing."""
        present = await self.fetch_subscription(subscription)
        with _mapped():
            if present.status not in _ENDED:
                ended = await self._client.v1.subscriptions.cancel_async(
                    subscription, {"invoice_now": False, "prorate": False}
                )
                present = reading.subscription(ended)
            page = await self._client.v1.invoices.list_async({"subscription": subscription, "limit": 10})
            for invoice in page.data:
                # A draft would be finalized and charged within the hour although its subscription has ended.
                if invoice.status == "draft" and invoice.auto_advance:
                    await self._client.v1.invoices.update_async(str(invoice.id), {"auto_advance": False})
                elif invoice.status == "open":
                    await self._client.v1.invoices.void_invoice_async(str(invoice.id))
        return present

    async def change_subscription(self, subscription: str, wanted: Renewal) -> SubscriptionState:
        """Have a subscription go on as `wanted`, with nothing charged or given back now; repeating it changes nothing."""
        with _mapped():
            found = await self._client.v1.subscriptions.retrieve_async(subscription)
            present = reading.subscription(found)
            params = _changes(found, present, wanted) if present.status not in _ENDED else None
            if not params:
                return present
            return reading.subscription(
                await self._client.v1.subscriptions.update_async(subscription, params)
            )

    async def finish_subscription(self, subscription: str) -> SubscriptionState:
        """Have instalments end by themselves a year after they began; repeating it changes nothing."""
        with _mapped():
            found = await self._client.v1.subscriptions.retrieve_async(subscription)
            if found.status in {"canceled", "incomplete_expired"} or found.cancel_at is not None:
                return reading.subscription(found)
            anchor = datetime.fromtimestamp(found.billing_cycle_anchor, UTC)
            # The end of a period, so that no part of one is charged or given back.
            end = datetime.combine(anniversary(anchor.date(), 1), anchor.timetz())
            return reading.subscription(
                await self._client.v1.subscriptions.update_async(
                    subscription, {"cancel_at": int(end.timestamp()), "proration_behavior": "none"}
                )
            )

    async def fetch_invoice(self, invoice: str) -> InvoiceState:
        """Return an invoice as it is now."""
        with _mapped():
            return reading.invoice(
                await self._client.v1.invoices.retrieve_async(invoice, {"expand": [_INTENT]})
            )

    async def list_invoices(self, subscription: str) -> list[InvoiceState]:
        """Return the latest invoices of a subscription, newest first."""
        with _mapped():
            page = await self._client.v1.invoices.list_async(
                {"subscription": subscription, "limit": 12, "expand": [f"data.{_INTENT}"]}
            )
            return [reading.invoice(found) for found in page.data]

    async def refund(self, *, operation: UUID, age: timedelta, payment: str, amount: Money) -> RefundState:
        """Give `amount` of a payment back, once for each operation."""
        if age > KEYS_LIVE:
            for made in await self.list_refunds(payment):
                if made.operation == operation:
                    return made
        with _mapped():
            return reading.refund(
                await self._client.v1.refunds.create_async(
                    {
                        "payment_intent": payment,
                        "amount": amount.minor,
                        "metadata": {"operation": str(operation)},
                    },
                    self._once("refund", operation, age),
                )
            )

    async def fetch_refund(self, refund: str) -> RefundState:
        """Return a refund as it is now."""
        with _mapped():
            return reading.refund(await self._client.v1.refunds.retrieve_async(refund))

    async def list_refunds(
        self, payment: str | None = None, *, since: datetime | None = None
    ) -> list[RefundState]:
        """Return refunds, whoever made them: of one payment, or all since an instant."""
        params: RefundListParams = {"limit": 100}
        if payment is not None:
            params["payment_intent"] = payment
        if since is not None:
            params["created"] = {"gte": int(since.timestamp())}
        with _mapped():
            page = await self._client.v1.refunds.list_async(params)
            return [reading.refund(found) async for found in page.auto_paging_iter()]

    async def fetch_dispute(self, dispute: str) -> DisputeState:
        """Return a dispute as it is now."""
        with _mapped():
            return reading.dispute(await self._client.v1.disputes.retrieve_async(dispute))

    async def list_disputes(self, since: datetime) -> list[DisputeState]:
        """Return the disputes opened after `since`."""
        with _mapped():
            page = await self._client.v1.disputes.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": 100}
            )
            return [reading.dispute(found) async for found in page.auto_paging_iter()]

    def read_event(self, payload: bytes, signature: str, *, wall: datetime) -> Notice:
        """Verify a webhook and return what it is about; raise `BadSignature` or `Invalid`."""
        stripe_notices.verify(payload, signature, secrets=self._settings.stripe_webhook_secret, wall=wall)
        notice = stripe_notices.read(payload)
        if notice.live != self._live or notice.account is not None:
            raise Invalid("That event belongs to another account or mode.")
        return notice

    @staticmethod
    def _once(kind: str, operation: UUID, age: timedelta) -> "RequestOptions":
        # Once the first key is forgotten, each further day has a key of its own.
        day = int(age / KEYS_LIVE)
        return {"idempotency_key": f"{kind}:{operation}" + (f":{day}" if day else "")}


def _changes(
    found: stripe.Subscription, present: SubscriptionState, wanted: Renewal
) -> "SubscriptionUpdateParams":
    """Return what is to be said so that a subscription goes on as wanted; nothing if it does."""
    params: SubscriptionUpdateParams = {}
    if wanted.stops != present.stops:
        params["cancel_at_period_end"] = wanted.stops
    if wanted.paused is not None and wanted.paused != present.paused:
        params["pause_collection"] = {"behavior": "void"} if wanted.paused else ""
    item = found["items"].data[0]
    amount = wanted.amount
    if amount is not None and present.charges != amount and item.price.recurring is not None:
        params["items"] = [
            {
                "id": item.id,
                "price_data": {
                    "currency": wanted.currency,
                    "unit_amount": amount.minor,
                    "product": str(reading.id_of(item.price.product)),
                    "recurring": {
                        "interval": item.price.recurring.interval,
                        "interval_count": item.price.recurring.interval_count,
                    },
                },
            }
        ]
        params["proration_behavior"] = "none"
    if wanted.charge_at is not None and wanted.charge_at != present.next_charge:
        # A trial is how the next charge is moved without a part of it being charged or given back now.
        params["trial_end"] = int(wanted.charge_at.timestamp())
        params["proration_behavior"] = "none"
    return params
