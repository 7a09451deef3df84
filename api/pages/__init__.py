"""The pages people meet."""

from litestar.types import ControllerRouterHandler

from api.pages import about, home, language, mailbox, styleguide

routes: list[ControllerRouterHandler] = [
    *about.routes,
    *home.routes,
    *language.routes,
    *mailbox.routes,
    *styleguide.routes,
]
