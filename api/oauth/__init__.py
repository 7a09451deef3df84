"""The OAuth 2 and OpenID Connect endpoints."""

from litestar.types import ControllerRouterHandler

routes: list[ControllerRouterHandler] = []
