"""The pages people meet."""

from litestar.types import ControllerRouterHandler

from api.pages import language, styleguide

routes: list[ControllerRouterHandler] = [
    *language.routes,
    *styleguide.routes,
]
