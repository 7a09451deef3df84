"""The pages people meet."""

from litestar.types import ControllerRouterHandler

from api.pages import about, home, language, mailbox, sign_in, sign_up, styleguide

routes: list[ControllerRouterHandler] = [
    *about.routes,
    *home.routes,
    *language.routes,
    *mailbox.routes,
    *sign_in.routes,
    *sign_up.routes,
    *styleguide.routes,
]
