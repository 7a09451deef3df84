"""The versioned JSON API for networks, members and tools."""

from litestar import Router
from litestar.types import ControllerRouterHandler

from api.v1 import document, entitlements, public

routes: list[ControllerRouterHandler] = [
    Router("/v1", route_handlers=[*document.routes, *entitlements.routes, *public.routes]),
]
