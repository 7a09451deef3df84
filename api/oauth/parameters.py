"""Parameters of OAuth requests: read from raw bytes, so that nothing repeated or unreadable slips by unnoticed."""

import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from litestar.exceptions import HTTPException
from litestar.types import Receive

from api.dependencies import AnyRequest

LARGEST = 64_000
"""Bytes of a form; the longest honest parameter is an ID Token sent back as a hint."""
MOST = 100
LONGEST = 16_000
FORM = "application/x-www-form-urlencoded"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Unreadable(Exception):
    """The parameters are no well-formed, bounded list of names and values."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was sent, each name once; `repeated` names those that came more often."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    repeated: frozenset[str] = frozenset()


def of_query(request: AnyRequest) -> Parameters:
    """Return the parameters of the query string."""
    return read(request.scope["query_string"])


async def of_form(request: AnyRequest) -> Parameters:
    """Return the parameters of a form that was posted."""
    _require_form(request.headers.get("content-type", ""))
    try:
        body = await request.body()
    except HTTPException as error:
        raise Unreadable("The form is too large.") from error
    return read(body)


async def received(content_type: str, receive: Receive) -> Parameters:
    """Return the parameters of a form that the server is still receiving; one that is too large is not read to its end."""
    _require_form(content_type)
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Unreadable("The form ended too early.")
        body += message["body"]
        if len(body) > LARGEST:
            raise Unreadable("The form is too large.")
        if not message["more_body"]:
            return read(body)


def is_form(content_type: str) -> bool:
    """Tell whether a body of this type holds parameters."""
    return content_type.partition(";")[0].strip().lower() == FORM


def _require_form(content_type: str) -> None:
    if not is_form(content_type):
        raise Unreadable(f"Send the parameters as {FORM}.")


def read(raw: bytes) -> Parameters:
    """Return the parameters that form-encoded bytes spell."""
    if len(raw) > LARGEST:
        raise Unreadable("The parameters are too large.")
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST,
            strict_parsing=False,
        )
    except (ValueError, UnicodeError) as error:
        raise Unreadable("The parameters are not well-formed UTF-8, or there are too many.") from error
    for name, value in pairs:
        # PostgreSQL cannot store NUL, and no parameter of the protocol has use for a control character.
        if len(value) > LONGEST or _CONTROL.search(name) or _CONTROL.search(value):
            raise Unreadable("A parameter is too long or holds control characters.")
    once = dict(pairs)
    repeated = frozenset[str]()
    if len(once) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        repeated = frozenset(n for n, times in counts.items() if times > 1)
    # A parameter without a value counts as omitted (RFC 6749, section 3.1).
    return Parameters({name: value for name, value in pairs if value}, repeated)
