"""The console of a network: for those who administer it, and for the cooperative's admins, whose looks are audited."""

from litestar.types import ControllerRouterHandler

from api.pages.console import add, clients, deliveries, overview, webhook

routes: list[ControllerRouterHandler] = [
    *add.routes,
    *clients.routes,
    *deliveries.routes,
    *overview.routes,
    *webhook.routes,
]
