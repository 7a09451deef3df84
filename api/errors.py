"""Every refusal becomes one answer here: problem+json (RFC 9457) for programs, a page for people.

Domain errors know no HTTP; this is the one table that gives them a status. What a person or a program may know is the
code and the message; the private detail goes to the log only.
"""

from http import HTTPStatus
from urllib.parse import quote

import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.pages.languages import marked
from api.pages.rendering import page, wants_page
from api.security import sign_in_path
from coop import errors
from coop.identity.sessions import SignInAgain

type_of_base: dict[type[errors.CoopError], HTTPStatus] = {
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.NotSignedIn: HTTPStatus.UNAUTHORIZED,
    errors.NotAllowed: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Refused: HTTPStatus.CONFLICT,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

log = structlog.get_logger("coop.http")

AnyRequest = Request[object, object, State]


class Problem(msgspec.Struct, omit_defaults=True):
    """A problem document (RFC 9457) with our stable `code` and the input `field` it concerns."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None


def status_of(error: errors.CoopError) -> HTTPStatus:
    """Return the status with which `error` is answered."""
    return status_of_kind(type(error))


def status_of_kind(kind: type[errors.CoopError]) -> HTTPStatus:
    """Return the status that the base class of a `kind` of refusal stands for."""
    for base, status in type_of_base.items():
        if issubclass(kind, base):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(
    request: AnyRequest,
    status: HTTPStatus,
    *,
    code: str,
    title: str,
    detail: str,
    field: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response[bytes]:
    """Answer with a problem document, or with a page if that is what the visitor reads."""
    headers = {"Cache-Control": "no-store"} | (headers or {})
    if wants_page(request):
        return page(
            "error.html",
            request,
            status=status,
            headers=headers,
            code=code,
            title=title,
            detail=detail,
            status_code=int(status),
        )
    document = Problem(
        type=request.app.state.settings.url(f"/docs/errors#{code}"),
        title=title,
        status=int(status),
        detail=detail,
        code=code,
        field=field,
    )
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def refuse(request: AnyRequest, error: errors.CoopError) -> Response[bytes]:
    """Answer a refusal of the cooperative."""
    if isinstance(error, errors.NotSignedIn) and wants_page(request):
        location = sign_in_path(request)
        if isinstance(error, SignInAgain):
            if error.next_path is not None:
                location = f"/sign-in?next={quote(error.next_path, safe='')}"
            location += ("&" if "?" in location else "?") + "reauthenticate=yes"
        return Response(
            b"", status_code=HTTPStatus.SEE_OTHER, headers={"Location": location, "Cache-Control": "no-store"}
        )
    status = status_of(error)
    headers = {}
    # Too many, unavailable, and a conflict that passes by itself (coop.billing.operations.InFlight).
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if status is HTTPStatus.UNAUTHORIZED or error.code == _INSUFFICIENT:
        headers["WWW-Authenticate"] = challenge(error.code)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("unmapped_refusal", code=error.code)
    return problem(
        request,
        status,
        code=error.code,
        title=error.title,
        detail=error.message,
        field=error.field,
        headers=headers,
    )


_INSUFFICIENT = "insufficient_scope"


def challenge(code: str) -> str:
    """Return how to prove oneself to the API (RFC 6750, section 3); whoever did not try is told of the scheme only."""
    tried = code in {"invalid_token", _INSUFFICIENT}
    return f'Bearer realm="coop", error="{code}"' if tried else 'Bearer realm="coop"'


def decoding(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer input that cannot even be read: deep JSON, invalid UTF-8, lone surrogates, absurd numbers."""
    del error
    return refuse(
        request,
        errors.Invalid(
            marked("The request could not be read: send well-formed UTF-8 of modest depth and size.")
        ),
    )


def http(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the framework refused by itself (no route, wrong method, body too large, bad parameters)."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unexpected(request, error)
    headers = {
        k: v
        for k, v in (error.headers or {}).items()
        if k.lower() in {"allow", "retry-after", "www-authenticate"}
    }
    extra = error.extra if isinstance(error.extra, list) else []
    field = next((str(item["key"]) for item in extra if isinstance(item, dict) and "key" in item), None)
    detail = _DETAIL.get(status, status.description or status.phrase)
    if field and field.isidentifier():
        detail = f"{detail} Look at {field!r}."
    return problem(
        request,
        status,
        code=_CODE.get(status, status.phrase.lower().replace(" ", "_")),
        title=_TITLE.get(status, status.phrase),
        detail=detail,
        field=field,
        headers=headers,
    )


def database(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer a database that is away, slow or full: nothing was acknowledged, so the caller may try again."""
    if isinstance(error, IntegrityError):
        # A constraint caught what the code above it did not name; the state of things forbids the request.
        log.warning("constraint", constraint=type(error.orig).__name__, path=route_of(request))
        return refuse(
            request,
            errors.Refused(
                marked("That collides with something that happened at the same time. Reload and try again.")
            ),
        )
    if isinstance(error, DBAPIError) and type(error.orig).__name__ in {
        "DataError",
        "CharacterNotInRepertoireError",
    }:
        return decoding(request, error)
    log.error("database", error=type(getattr(error, "orig", error)).__name__, path=route_of(request))
    return refuse(request, errors.Unavailable())


def route_of(request: AnyRequest) -> str:
    """Return the route that was asked for, for the log: an address itself may hold the secret of a gift or of an invitation."""
    return str(request.scope.get("path_template", ""))


def unexpected(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer a fault of ours; the trace goes to the log, never to the visitor."""
    log.error("unexpected", exc_info=error, path=route_of(request))
    return problem(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        code="unexpected",
        title=marked("Something went wrong on our side"),
        detail=marked("It has been recorded. Nothing was half done; please try again in a while."),
    )


_CODE = {HTTPStatus.NOT_FOUND: "not_found", HTTPStatus.BAD_REQUEST: "invalid"}
_TITLE = {
    HTTPStatus.BAD_REQUEST: marked("That could not be understood"),
    HTTPStatus.FORBIDDEN: marked("Not allowed"),
    HTTPStatus.NOT_FOUND: marked("Nothing is here"),
    HTTPStatus.METHOD_NOT_ALLOWED: marked("Not in that way"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: marked("That is too large"),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: marked("Not in that form"),
}
_DETAIL = {
    HTTPStatus.NOT_FOUND: marked("There is nothing at this address."),
    HTTPStatus.METHOD_NOT_ALLOWED: marked("That method is not answered at this address."),
    HTTPStatus.BAD_REQUEST: marked("The request could not be understood."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: marked("The request is larger than anything this service expects."),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: marked("Send it as application/json."),
}


def framework_refusals() -> list[tuple[str, HTTPStatus, str]]:
    """Return the refusals that come from below the cooperative: code, status and what each says."""
    return [
        (_CODE.get(status, status.phrase.lower().replace(" ", "_")), status, detail)
        for status, detail in _DETAIL.items()
    ]


handlers: ExceptionHandlersMap = {
    errors.CoopError: refuse,
    HTTPException: http,
    RecursionError: decoding,
    UnicodeError: decoding,
    DBAPIError: database,
    PoolTimeout: database,
    Exception: unexpected,
}
