"""The pages people meet."""

from litestar.types import ControllerRouterHandler

from api.pages import (
    about,
    account,
    connected,
    home,
    language,
    mailbox,
    networks,
    proposals,
    recover,
    security,
    sign_in,
    sign_up,
    styleguide,
    transparency,
    verify_email,
    votes,
)

routes: list[ControllerRouterHandler] = [
    *about.routes,
    *account.routes,
    *connected.routes,
    *home.routes,
    *language.routes,
    *mailbox.routes,
    *networks.routes,
    *proposals.routes,
    *recover.routes,
    *security.routes,
    *sign_in.routes,
    *sign_up.routes,
    *styleguide.routes,
    *transparency.routes,
    *verify_email.routes,
    *votes.routes,
]
