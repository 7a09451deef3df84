"""The versioned JSON API for networks, members and tools."""

from litestar.types import ControllerRouterHandler

routes: list[ControllerRouterHandler] = []
