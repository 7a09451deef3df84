"""The versioned JSON API for networks, members and tools."""

from litestar import Router
from litestar.types import ControllerRouterHandler

from api.v1 import document, entitlements, networks, public

routes: list[ControllerRouterHandler] = [
    Router("/v1", route_handlers=[*document.routes, *entitlements.routes, *networks.routes, *public.routes]),
]
