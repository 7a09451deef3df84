"""What others call: Stripe's webhooks."""

from litestar.types import ControllerRouterHandler

from api.hooks import stripe

routes: list[ControllerRouterHandler] = [*stripe.routes]
