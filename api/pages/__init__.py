"""The pages people meet."""

from litestar.types import ControllerRouterHandler

routes: list[ControllerRouterHandler] = []
