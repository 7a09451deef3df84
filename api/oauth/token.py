"""The endpoints that clients call with a form: token, introspection and revocation."""

from litestar import Response, post
from litestar.di import NamedDependency

from api.dependencies import AnyRequest
from api.oauth import answers, parameters
from api.oauth.parameters import Unreadable
from coop.authorization import protocol
from coop.authorization.server import Endpoint, ProtocolRequest
from coop.unit_of_work import Units


@post("/oauth/token", exception_handlers=answers.handlers, include_in_schema=False)
async def token(request: AnyRequest, units: NamedDependency[Units]) -> Response[bytes]:
    """Turn a code, a refresh token or a client's own credentials into tokens (RFC 6749, section 3.2)."""
    return await _answer(request, units, "token")


@post("/oauth/introspect", exception_handlers=answers.handlers, include_in_schema=False)
async def introspect(request: AnyRequest, units: NamedDependency[Units]) -> Response[bytes]:
    """Tell a client what a token of its own is worth (RFC 7662)."""
    return await _answer(request, units, "introspection")


@post("/oauth/revoke", exception_handlers=answers.handlers, include_in_schema=False)
async def revoke(request: AnyRequest, units: NamedDependency[Units]) -> Response[bytes]:
    """Take a token back from its client (RFC 7009)."""
    return await _answer(request, units, "revocation")


async def _answer(request: AnyRequest, units: Units, endpoint: Endpoint) -> Response[bytes]:
    form = await parameters.of_form(request)
    # Tokens, codes and secrets in an address end up in logs and histories.
    if request.scope["query_string"]:
        raise Unreadable("Parameters belong in the body, not in the address.")
    if form.repeated:
        raise Unreadable("A parameter was given twice.")
    path, headers = request.scope["path"], dict(request.headers)
    given = await protocol.answer(units, ProtocolRequest(endpoint, path, form.values, headers))
    return answers.json(given.body, given.status, given.headers)


routes = [token, introspect, revoke]
