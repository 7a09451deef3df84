"""The Stripe adapter: the one place that speaks to Stripe, or to the sandbox, which speaks as Stripe does."""

import contextlib
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast
from uuid import UUID

import aiohttp
import stripe
import structlog
from stripe.checkout import Session

from coop.billing.gateway import (
    BadSignature,
    CheckoutState,
    DisputeState,
    GatewayAway,
    GatewayRefused,
    HostedCheckout,
    InvoiceState,
    Notice,
    NotVisible,
    Order,
    PaymentState,
    RefundState,
    Settlement,
    SubscriptionState,
)
from coop.errors import Invalid
from coop.money import ZERO, Money
from coop.settings import Settings

if TYPE_CHECKING:
    from stripe import RequestOptions
    from stripe.params import RefundListParams
    from stripe.params.checkout import SessionCreateParams

TIMEOUT_SECONDS = 20
KEYS_LIVE = timedelta(hours=23)
"""Stripe forgets idempotency keys after a day; an hour is left for clocks that disagree."""
TOLERANCE = timedelta(seconds=300)

log = structlog.get_logger("coop.stripe")

_SIGNATURE = re.compile(r"(?:^|,)v1=([0-9a-f]{64})(?=,|$)", re.ASCII)
_TIMESTAMP = re.compile(r"(?:^|,)t=([0-9]{1,12})(?=,|$)", re.ASCII)
_CLOSED_DISPUTES: dict[str, Literal["warning", "won", "lost"]] = {
    "won": "won",
    "lost": "lost",
    "warning_needs_response": "warning",
    "warning_under_review": "warning",
    "warning_closed": "warning",
    "prevented": "warning",
}


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
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
    except (TimeoutError, aiohttp.ClientError) as error:
        # The library maps failures before the headers, but not those while the body is read.
        log.warning("stripe_away", error=type(error).__name__)
        raise GatewayAway(retry_after=30) from error


class StripeGateway:
    """Stripe behind the `Gateway` protocol; going live changes only the key and the base address."""

    def __init__(self, settings: Settings):
        """Connect lazily, at the first call."""
        self._settings = settings
        self._live = settings.stripe_secret_key.startswith(("sk_live_", "rk_live_"))
        self._http = stripe.AIOHTTPClient(timeout=TIMEOUT_SECONDS)
        self._client = stripe.StripeClient(
            settings.stripe_secret_key or "unset",
            base_addresses={"api": settings.stripe_api_base},
            http_client=self._http,
            # A retry resends the same key, so it can do nothing twice.
            max_network_retries=1,
        )

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
            "mode": "subscription" if order.yearly else "payment",
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
        if order.yearly:
            params["line_items"][0]["price_data"]["recurring"] = {"interval": "year"}
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
            return _checkout(await self._client.v1.checkout.sessions.retrieve_async(checkout))

    async def find_checkout(self, operation: UUID, since: datetime) -> CheckoutState | None:
        """Return the hosted checkout that `operation` opened after `since`, if its answer was lost."""
        with _mapped():
            sessions = await self._client.v1.checkout.sessions.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": 100}
            )
            async for session in sessions.auto_paging_iter():
                if _operation(session.metadata) == operation:
                    return _checkout(session)
        return None

    async def expire_checkout(self, checkout: str) -> CheckoutState:
        """Close a hosted checkout, so that nobody pays it any more; return how it ended."""
        try:
            with _mapped():
                return _checkout(await self._client.v1.checkout.sessions.expire_async(checkout))
        except GatewayRefused:
            # Only an open one can be closed: it was paid, or it has closed by itself.
            return await self.fetch_checkout(checkout)

    async def fetch_payment(self, payment: str) -> PaymentState:
        """Return a payment as it is now."""
        with _mapped():
            intent = await self._client.v1.payment_intents.retrieve_async(
                payment, {"expand": ["latest_charge.balance_transaction"]}
            )
        charge = intent.latest_charge if isinstance(intent.latest_charge, stripe.Charge) else None
        settlement = charge.balance_transaction if charge is not None else None
        return PaymentState(
            id=intent.id,
            charge=None if charge is None else charge.id,
            succeeded=intent.status == "succeeded",
            failed=intent.status in {"requires_payment_method", "canceled"},
            amount=Money(intent.amount_received),
            currency=intent.currency,
            refunded=ZERO if charge is None else Money(charge.amount_refunded),
            settlement=_settlement(settlement) if isinstance(settlement, stripe.BalanceTransaction) else None,
        )

    async def payment_of_charge(self, charge: str) -> str | None:
        """Return the payment to which a charge belongs."""
        with _mapped():
            found = await self._client.v1.charges.retrieve_async(charge)
        return _id(found.payment_intent)

    async def fetch_subscription(self, subscription: str) -> SubscriptionState:
        """Return a subscription as it is now."""
        with _mapped():
            return _subscription(await self._client.v1.subscriptions.retrieve_async(subscription))

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
            return _subscription(ended)

    async def fetch_invoice(self, invoice: str) -> InvoiceState:
        """Return an invoice as it is now."""
        with _mapped():
            found = await self._client.v1.invoices.retrieve_async(invoice)
            return _invoice(found, await self._payment_of(invoice) if found.status == "paid" else None)

    async def list_invoices(self, subscription: str) -> list[InvoiceState]:
        """Return the latest invoices of a subscription, newest first."""
        with _mapped():
            page = await self._client.v1.invoices.list_async({"subscription": subscription, "limit": 10})
            return [
                _invoice(found, await self._payment_of(str(found.id)) if found.status == "paid" else None)
                for found in page.data
            ]

    async def _payment_of(self, invoice: str) -> str | None:
        page = await self._client.v1.invoice_payments.list_async({"invoice": invoice, "status": "paid"})
        return next((_id(paid.payment.payment_intent) for paid in page.data), None)

    async def refund(self, *, operation: UUID, age: timedelta, payment: str, amount: Money) -> RefundState:
        """Give `amount` of a payment back, once for each operation."""
        if age > KEYS_LIVE:
            for made in await self.list_refunds(payment):
                if made.operation == operation:
                    return made
        with _mapped():
            return _refund(
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
            return _refund(await self._client.v1.refunds.retrieve_async(refund))

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
            return [_refund(found) async for found in page.auto_paging_iter()]

    async def fetch_dispute(self, dispute: str) -> DisputeState:
        """Return a dispute as it is now."""
        with _mapped():
            return _dispute(await self._client.v1.disputes.retrieve_async(dispute))

    async def list_disputes(self, since: datetime) -> list[DisputeState]:
        """Return the disputes opened after `since`."""
        with _mapped():
            page = await self._client.v1.disputes.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": 100}
            )
            return [_dispute(found) async for found in page.auto_paging_iter()]

    def read_event(self, payload: bytes, signature: str, *, wall: datetime) -> Notice:
        """Verify a webhook and return what it is about; raise `BadSignature` or `Invalid`."""
        self._verify(payload, signature, wall)
        try:
            event = json.loads(payload)
            kept = event["data"]["object"]
            notice = Notice(
                id=_text(event["id"]),
                type=_text(event["type"]),
                # A few objects (balance.available) have no id; there is nothing to fetch for them.
                object_id=_text(kept.get("id", "")),
                live=event["livemode"] is True,
                account=event.get("account"),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Invalid("That is not an event.") from error
        if notice.live != self._live or notice.account is not None:
            raise Invalid("That event belongs to another account or mode.")
        return notice

    def _verify(self, payload: bytes, signature: str, wall: datetime) -> None:
        # Done here rather than by the library, which accepts timestamps from the future and reads its own clock.
        stamp = _TIMESTAMP.search(signature[:2000])
        given = _SIGNATURE.findall(signature[:2000])
        if stamp is None or not given:
            raise BadSignature
        signed = f"{stamp[1]}.".encode() + payload
        # Two secrets are valid while one is being rotated, and Stripe then sends two v1 values.
        secrets = [part.strip() for part in self._settings.stripe_webhook_secret.split(",") if part.strip()]
        expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
        if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in given[:8]):
            raise BadSignature
        ahead = timedelta(seconds=int(stamp[1]) - wall.timestamp())
        if ahead > TOLERANCE or -ahead > TOLERANCE:
            raise BadSignature("The signature is too old, or from the future; check the clocks.")

    @staticmethod
    def _once(kind: str, operation: UUID, age: timedelta) -> "RequestOptions":
        # Once the first key is forgotten, each further day has a key of its own.
        day = int(age / KEYS_LIVE)
        return {"idempotency_key": f"{kind}:{operation}" + (f":{day}" if day else "")}


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 255 or "\x00" in value:  # noqa: PLR2004 - the length of Stripe's ids
        raise TypeError
    return value


def _id(reference: object) -> str | None:
    """Return the id behind a field that is an id or, expanded, an object."""
    if reference is None or isinstance(reference, str):
        return reference
    return str(cast("stripe.StripeObject", reference)["id"])


def _operation(metadata: object) -> UUID | None:
    kept = cast("Mapping[str, str] | None", metadata)
    if kept is None or "operation" not in kept:
        return None
    try:
        return UUID(kept["operation"])
    except ValueError:
        return None


def _checkout(session: Session) -> CheckoutState:
    return CheckoutState(
        id=session.id,
        operation=_operation(session.metadata),
        status=cast("Literal['open', 'complete', 'expired']", session.status or "open"),
        paid=session.payment_status == "paid",
        amount=Money(session.amount_total or 0),
        currency=session.currency or "",
        url=session.url,
        payment=_id(session.payment_intent),
        invoice=_id(session.invoice),
        subscription=_id(session.subscription),
    )


def _settlement(moved: stripe.BalanceTransaction) -> Settlement:
    return Settlement(id=moved.id, amount=Money(moved.amount), fee=Money(moved.fee), net=Money(moved.net))


def _subscription(found: stripe.Subscription) -> SubscriptionState:
    return SubscriptionState(
        id=found.id,
        operation=_operation(found.metadata),
        status=found.status,
        stops=found.cancel_at_period_end or found.cancel_at is not None,
    )


def _invoice(found: stripe.Invoice, payment: str | None) -> InvoiceState:
    parent = found.parent.subscription_details if found.parent is not None else None
    return InvoiceState(
        id=str(found.id),
        status=found.status or "draft",
        amount=Money(found.amount_paid),
        currency=found.currency,
        reason=found.billing_reason or "",
        subscription=None if parent is None else _id(parent.subscription),
        operation=None if parent is None else _operation(parent.metadata),
        attempts=found.attempt_count,
        payment=payment,
    )


def _refund(found: stripe.Refund) -> RefundState:
    return RefundState(
        id=found.id,
        operation=_operation(found.metadata),
        payment=_id(found.payment_intent),
        status=found.status or "pending",
        amount=Money(found.amount),
    )


def _dispute(found: stripe.Dispute) -> DisputeState:
    fees = [Money(moved.fee) for moved in found.balance_transactions]
    return DisputeState(
        id=found.id,
        payment=_id(found.payment_intent),
        status=_CLOSED_DISPUTES.get(found.status, "open"),
        withdrawn=bool(found.balance_transactions),
        amount=Money(found.amount),
        fee=sum((fee for fee in fees if fee > ZERO), ZERO),
        fee_returned=-sum((fee for fee in fees if fee < ZERO), ZERO),
    )
