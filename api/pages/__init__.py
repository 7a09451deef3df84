"""The pages people meet."""

from litestar.types import ControllerRouterHandler

from api.pages import language, mailbox, styleguide

routes: list[ControllerRouterHandler] = [
    *language.routes,
    *mailbox.routes,
    *styleguide.routes,
]
