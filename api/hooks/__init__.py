"""What others call: Stripe's webhooks."""

from litestar.types import ControllerRouterHandler

routes: list[ControllerRouterHandler] = []
