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


@route(
    "/oauth/userinfo",
    http_method=["GET", "POST"],
    exception_handlers=answers.handlers,
    include_in_schema=False,
)
async def userinfo(request: AnyRequest, units: NamedDependency[Units]) -> Response[bytes]:
    """Answer the bearer of an access token; RFC 6750 says how each refusal looks."""
    sent = await _tokens(request)
    if not sent:
        return _refuse(HTTPStatus.UNAUTHORIZED, None, "")
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
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        sent.append(credentials.strip())
    if request.method == "POST" and request.headers.get("content-type", "").startswith(parameters.FORM):
        form = await parameters.of_form(request)
        if "access_token" in form.repeated:
            raise Unreadable("A parameter was given twice.")
        if "access_token" in form.values:
            sent.append(form.values["access_token"])
    return sent


def _unknown() -> Response[bytes]:
    return _refuse(HTTPStatus.UNAUTHORIZED, "invalid_token", "The token is unknown, expired or revoked.")


def _refuse(status: HTTPStatus, code: str | None, description: str) -> Response[bytes]:
    # A request without any token is told of the scheme only (RFC 6750, section 3.1).
    challenge = 'Bearer realm="coop"'
    if code is not None:
        challenge += f', error="{code}", error_description="{description}"'
    if code == "insufficient_scope":
        challenge += f', scope="{scopes.OPENID}"'
    return answers.error(code or "invalid_token", description, status, {"WWW-Authenticate": challenge})


routes = [userinfo]
