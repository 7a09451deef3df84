"""Cards that Stripe keeps: the page that takes one, and making it the one that is charged."""

from typing import TYPE_CHECKING, Literal, cast

import stripe
import structlog

from coop.billing import stripe_reading as reading
from coop.billing.cards import Face, Keeping, KeptCard
from coop.billing.gateway import GatewayRefused, HostedCheckout, NotVisible
from coop.billing.stripe_errors import mapped

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

_LIVING = ("active", "past_due", "trialing", "unpaid", "incomplete")

log = structlog.get_logger("coop.stripe")


class StripeCards:
    """`Cards`, by Stripe's setup sessions."""

    def __init__(self, client: stripe.StripeClient):
        """Share the adapter's connection."""
        self._client = client

    async def keep(self, keeping: Keeping) -> HostedCheckout:
        """Open a page that takes a card, or return the one that this operation opened before."""
        operation = {"operation": str(keeping.operation)}
        params: SessionCreateParams = {
            "mode": "setup",
            "currency": keeping.currency,
            "client_reference_id": str(keeping.operation),
            "metadata": operation,
            "setup_intent_data": {"metadata": operation},
            "success_url": keeping.success_url,
            "cancel_url": keeping.cancel_url,
            "expires_at": int(keeping.expires_at.timestamp()),
            "locale": cast("Literal['en', 'pl', 'fr']", keeping.locale),
        }
        if keeping.customer is not None:
            params["customer"] = keeping.customer
        else:
            params["customer_creation"] = "always"
            if keeping.email is not None:
                params["customer_email"] = keeping.email
        with mapped():
            session = await self._client.v1.checkout.sessions.create_async(
                params, {"idempotency_key": f"card:{keeping.operation}"}
            )
        if session.url is None:
            raise GatewayRefused("That page has closed. Start again.")
        return HostedCheckout(id=session.id, url=session.url)

    async def kept(self, page: str) -> KeptCard:
        """Return what became of a page."""
        with mapped():
            session = await self._client.v1.checkout.sessions.retrieve_async(
                page, {"expand": ["setup_intent"]}
            )
        intent = session.setup_intent
        card = intent.payment_method if isinstance(intent, stripe.SetupIntent) else None
        return KeptCard(
            status=cast("Literal['open', 'complete', 'expired']", session.status or "open"),
            customer=reading.id_of(session.customer),
            card=reading.id_of(card),
        )

    async def use(self, customer: str, card: str) -> None:
        """Charge `card` for everything of `customer` from now on, and try again what is still open."""
        with mapped():
            await self._client.v1.customers.update_async(
                customer, {"invoice_settings": {"default_payment_method": card}}
            )
            page = await self._client.v1.subscriptions.list_async({"customer": customer, "limit": 100})
            for subscription in page.data:
                if subscription.status in _LIVING:
                    await self._client.v1.subscriptions.update_async(
                        subscription.id, {"default_payment_method": card}
                    )
            owed = await self._client.v1.invoices.list_async(
                {"customer": customer, "status": "open", "limit": 20}
            )
        for invoice in owed.data:
            # One whose subscription was given up is collected no more.
            if invoice.auto_advance:
                await self._try(str(invoice.id), card)

    async def forget(self, customer: str) -> None:
        """Delete a customer with every card and subscription; one who is gone already stays so."""
        try:
            with mapped():
                await self._client.v1.customers.delete_async(customer)
        except NotVisible:
            log.info("stripe_customer_gone_already")

    async def face(self, customer: str) -> Face | None:
        """Return the card that would be charged next, if there is one."""
        with mapped():
            found = await self._client.v1.customers.retrieve_async(
                customer, {"expand": ["invoice_settings.default_payment_method"]}
            )
            settings = found.invoice_settings
            method = None if settings is None else settings.default_payment_method
            if not isinstance(method, stripe.PaymentMethod):
                page = await self._client.v1.subscriptions.list_async(
                    {"customer": customer, "limit": 10, "expand": ["data.default_payment_method"]}
                )
                methods = [one.default_payment_method for one in page.data if one.status in _LIVING]
                method = next((one for one in methods if isinstance(one, stripe.PaymentMethod)), None)
        card = method.card if isinstance(method, stripe.PaymentMethod) else None
        if card is None:
            return None
        return Face(brand=card.brand, last4=card.last4 or "", month=card.exp_month, year=card.exp_year)

    async def _try(self, invoice: str, card: str) -> None:
        try:
            with mapped():
                await self._client.v1.invoices.pay_async(invoice, {"payment_method": card})
        except GatewayRefused:
            # Declined again: the processor says so by its webhook, and the member is written to.
            log.info("stripe_invoice_not_paid", invoice=invoice)
