"""The Stripe adapter: the one place that speaks to Stripe, or to the sandbox, which speaks as Stripe does."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast
from uuid import UUID

import structlog

from coop.billing import stripe_notices
from coop.billing import stripe_reading as reading
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
    SubscriptionState,
)
from coop.billing.lists import Lists
from coop.billing.stripe_errors import mapped as _mapped
from coop.billing.stripe_library import stripe
from coop.billing.stripe_lists import StripeLists
from coop.clock import anniversary
from coop.errors import Invalid
from coop.money import Money
from coop.settings import Settings

if TYPE_CHECKING:
    from stripe import RequestOptions
    from stripe.params import RefundListParams
    from stripe.params.checkout import SessionCreateParams

TIMEOUT_SECONDS = 20
KEYS_LIVE = timedelta(hours=23)
"""Stripe forgets idempotency keys after a day; an hour is left for clocks that disagree."""

log = structlog.get_logger("coop.stripe")


class StripeGateway:
    """Stripe behind the `Gateway` protocol; going live changes only the key and the base address."""

    def __init__(self, settings: Settings, http: stripe.HTTPClient | None = None):
        """Connect lazily, at the first call; `http` is how bytes travel, if not over the network."""
        self._settings = settings
        self._live = settings.stripe_secret_key.startswith(("sk_live_", "rk_live_"))
        self._http = http or stripe.AIOHTTPClient(timeout=TIMEOUT_SECONDS)
        self._client = stripe.StripeClient(
            settings.stripe_secret_key or "unset",
            base_addresses={"api": settings.stripe_api_base},
            http_client=self._http,
            # A retry resends the same key, so it can do nothing twice.
            max_network_retries=1,
        )
        self.lists: Lists = StripeLists(self._client)

    async def close(self) -> None:
        """Give the connections back."""
        # Closing would otherwise first open a session.
        if getattr(self._http, "_cached_session", None) is not None:
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
        if order.email is not None:
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

    async def stop_subscription(self, subscription: str, *, at_once: bool) -> SubscriptionState:
        """End a subscription, at once or with the year that is paid for; repeating it changes nothing."""
        present = await self.fetch_subscription(subscription)
        if present.status in {"canceled", "incomplete_expired"} or (present.stops and not at_once):
            return present
        with _mapped():
            if at_once:
                ended = await self._client.v1.subscriptions.cancel_async(
                    subscription, {"invoice_now": False, "prorate": False}
                )
            else:
                ended = await self._client.v1.subscriptions.update_async(
                    subscription, {"cancel_at_period_end": True}
                )
            return reading.subscription(ended)

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
            found = await self._client.v1.invoices.retrieve_async(invoice)
            return reading.invoice(found, await self._payment_of(invoice) if found.status == "paid" else None)

    async def list_invoices(self, subscription: str) -> list[InvoiceState]:
        """Return the latest invoices of a subscription, newest first."""
        with _mapped():
            page = await self._client.v1.invoices.list_async({"subscription": subscription, "limit": 12})
            return [
                reading.invoice(
                    found, await self._payment_of(str(found.id)) if found.status == "paid" else None
                )
                for found in page.data
            ]

    async def _payment_of(self, invoice: str) -> str | None:
        page = await self._client.v1.invoice_payments.list_async({"invoice": invoice, "status": "paid"})
        return next((reading.id_of(paid.payment.payment_intent) for paid in page.data), None)

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
