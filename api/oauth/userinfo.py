"""UserInfo: what a client is told of the member who holds the token (OpenID Connect Core, section 5.3)."""

from http import HTTPStatus

from litestar import Response, route
from litestar.di import NamedDependency

from api.dependencies import AnyRequest
from api.oauth import answers, parameters
from api.oauth.parameters import Unreadable
from coop.authorization import claims, presented, scopes, signed_answers
from coop.unit_of_work import Units

_LONGEST = 4000
"""Characters of an access token; a signed one is longer than an opaque one."""
_SCHEME = 'Bearer realm="coop"'


def _unreadable(request: AnyRequest, fault: Unreadable) -> Response[bytes]:
    del request
    return _refuse(HTTPStatus.BAD_REQUEST, "invalid_request", str(fault))


handlers = {**answers.handlers, Unreadable: _unreadable}


@route(
    "/oauth/userinfo",
    http_method=["GET", "POST"],
    exception_handlers=handlers,
    include_in_schema=False,
)
async def userinfo(request: AnyRequest, units: NamedDependency[Units]) -> Response[bytes]:
    """Answer the bearer of an access token; RFC 6750 says how each refusal looks."""
    sent = await _tokens(request)
    if not sent:
        # A request without any token is told of the scheme only (RFC 6750, section 3.1).
        return answers.json({}, HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": _SCHEME})
    if len(sent) > 1:
        raise Unreadable("Send the token in one way, once.")
    if len(sent[0]) > _LONGEST:
        return _unknown()
    async with units.line() as line:
        facts = await presented.by_bearer(line, sent[0])
    access, client, family = facts.living_access(line.wall), facts.client, facts.family
    if access is None or client is None:
        return _unknown()
    if family is None or scopes.OPENID not in scopes.words(access.scope):
        return _refuse(HTTPStatus.FORBIDDEN, "insufficient_scope", "The token was not granted openid.")
    told = claims.userinfo(line.settings, client, family, facts, access.scope)
    if signed_answers.USERINFO_ALGORITHM not in client.details:
        return answers.json(told)
    async with units.read() as work:
        return answers.signed(await signed_answers.userinfo(work, client, told), signed_answers.USERINFO)


async def _tokens(request: AnyRequest) -> list[str]:
    if "access_token" in parameters.of_query(request).values:
        raise Unreadable("A token does not belong in an address.")
    sent = []
    for header in request.headers.getall("authorization", []):
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() == "bearer":
            sent.append(credentials.strip())
    if request.method == "POST" and parameters.is_form(request.headers.get("content-type", "")):
        form = await parameters.of_form(request)
        if "access_token" in form.repeated:
            raise Unreadable("A parameter was given twice.")
        if "access_token" in form.values:
            sent.append(form.values["access_token"])
    return sent


def _unknown() -> Response[bytes]:
    return _refuse(HTTPStatus.UNAUTHORIZED, "invalid_token", "The token is unknown, expired or revoked.")


def _refuse(status: HTTPStatus, code: str, description: str) -> Response[bytes]:
    challenge = f'{_SCHEME}, error="{code}", error_description="{description}"'
    if code == "insufficient_scope":
        challenge += f', scope="{scopes.OPENID}"'
    return answers.error(code, description, status, {"WWW-Authenticate": challenge})


routes = [userinfo]
