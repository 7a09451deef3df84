"""Bodies as every reader of them must understand them: JSON, under its name, and each key once."""

import json
from http import HTTPStatus

from litestar.exceptions import HTTPException

from api.dependencies import AnyRequest
from coop.errors import Invalid


class DuplicateKey(Invalid):
    """A key stands twice in one JSON object; say what you mean once."""

    code = "duplicate_key"


async def require_json(request: AnyRequest) -> None:
    """Refuse what is no JSON, and what two readers could understand differently; the decoder would silently take the last key."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)

    def once(pairs: list[tuple[str, object]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            raise DuplicateKey

    try:
        json.loads(await request.body(), object_pairs_hook=once)
    except ValueError as error:
        # No JSON, no Unicode, or a number of more digits than Python will read.
        raise Invalid("The body is not JSON that this service reads.") from error
