"""Answers of the endpoints that programs call: JSON that nobody stores, and errors in the shape of the RFCs."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap, Send
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.dependencies import AnyRequest
from api.errors import log, route_of, status_of
from api.oauth.parameters import Unreadable
from coop.authorization.server import BASIC_CHALLENGE
from coop.errors import CoopError, NotSignedIn, TooMany, Unavailable

NEVER_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def json(
    body: Mapping[str, object], status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """Return `body` as JSON that no cache may keep."""
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers=NEVER_STORED | dict(headers or {}),
    )


async def bare(body: bytes, status: int, headers: Mapping[str, str], media_type: str, send: Send) -> None:
    """Send `body` as it is: where networks call all day, the framework's own answer is felt."""
    lines = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *_NEVER_STORED,
        *((name.lower().encode(), value.encode()) for name, value in headers.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body, "more_body": False})


_NEVER_STORED = [(name.lower().encode(), value.encode()) for name, value in NEVER_STORED.items()]


def signed(token: str, media_type: str) -> Response[bytes]:
    """Return a JWT, under the media type that says of what kind it is."""
    # Said outright, since a route that takes POST would call it 201.
    return Response(token.encode(), status_code=HTTPStatus.OK, media_type=media_type, headers=NEVER_STORED)


def error(
    code: str,
    description: str,
    status: HTTPStatus = HTTPStatus.BAD_REQUEST,
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """Return an error as RFC 6749, section 5.2 has it."""
    return json({"error": code, "error_description": description}, status, headers)


def _unreadable(request: AnyRequest, fault: Unreadable) -> Response[bytes]:
    del request
    return error("invalid_request", str(fault))


def _refused(request: AnyRequest, refusal: CoopError) -> Response[bytes]:
    del request
    if isinstance(refusal, TooMany | Unavailable):
        wait = {"Retry-After": str(refusal.retry_after)}
        return error("temporarily_unavailable", refusal.message, status_of(refusal), wait)
    # A client that did not prove itself is told of a way to (RFC 6749, section 5.2).
    challenge = {"WWW-Authenticate": BASIC_CHALLENGE} if isinstance(refusal, NotSignedIn) else {}
    return error(refusal.code, refusal.message, status_of(refusal), challenge)


def _framework(request: AnyRequest, refusal: HTTPException) -> Response[bytes]:
    del request
    status = HTTPStatus(refusal.status_code)
    allowed = {k: v for k, v in (refusal.headers or {}).items() if k.lower() == "allow"}
    return error("invalid_request", status.description or status.phrase, status, allowed)


def _database(request: AnyRequest, fault: Exception) -> Response[bytes]:
    log.error("database", error=type(getattr(fault, "orig", fault)).__name__, path=route_of(request))
    return _refused(request, Unavailable())


def _unexpected(request: AnyRequest, fault: Exception) -> Response[bytes]:
    log.error("unexpected", exc_info=fault, path=route_of(request))
    return error("server_error", "Something went wrong on our side.", HTTPStatus.INTERNAL_SERVER_ERROR)


handlers: ExceptionHandlersMap = {
    Unreadable: _unreadable,
    CoopError: _refused,
    HTTPException: _framework,
    DBAPIError: _database,
    PoolTimeout: _database,
    Exception: _unexpected,
}
