"""Conditional answers: an ETag for each, and nothing but the head for who has it already (RFC 9110, 13)."""

import hashlib
from http import HTTPStatus
from typing import TypeVar, cast

import msgspec
from litestar import Response

from api.dependencies import AnyRequest

T = TypeVar("T")


def answer(request: AnyRequest, content: T, *, cache: str, vary: str = "Accept") -> Response[T]:
    """Return `content` as JSON with its ETag, or 304 if the caller's copy is still true."""
    encoded = msgspec.json.encode(content)
    etag = f'"{hashlib.sha256(encoded).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": cache, "Vary": vary}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    fresh = etag in known or "*" in known
    # Bytes pass through the framework as they are; the type says what they spell.
    return Response(
        cast("T", b"" if fresh else encoded),
        status_code=HTTPStatus.NOT_MODIFIED if fresh else HTTPStatus.OK,
        headers=headers,
    )
