"""The pages people meet."""

from litestar.types import ControllerRouterHandler

from api.pages import about, language, mailbox, styleguide

routes: list[ControllerRouterHandler] = [
    *about.routes,
    *language.routes,
    *mailbox.routes,
    *styleguide.routes,
]
