"""The OAuth 2 and OpenID Connect endpoints."""

from litestar.types import ControllerRouterHandler

from api.oauth import authorize, consent, discovery, register, sign_out, token, userinfo

routes: list[ControllerRouterHandler] = [
    *authorize.routes,
    *consent.routes,
    *discovery.routes,
    *register.routes,
    *sign_out.routes,
    *token.routes,
    *userinfo.routes,
]
