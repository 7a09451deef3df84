"""A member's data, to take with them: everything that is held, in one archive."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import IO

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Stream

from api import archive
from api.dependencies import AnyRequest, Viewer, require_recent
from api.pages.rendering import locale_of
from api.pages.security import Nothing
from coop.identity import throttle
from coop.leaving.export import TooManyExports
from coop.unit_of_work import Units

_CHUNK = 1 << 16


@post("/account/export", status_code=200, include_in_schema=False)
async def export(
    request: AnyRequest,
    data: URLEncodedBody[Nothing],
    signed_in: NamedDependency[Viewer],
    units: NamedDependency[Units],
) -> Response[bytes]:
    """Hand the archive over, to whoever has just proved who they are."""
    del data
    require_recent(request, signed_in, next_path="/account#data")
    await throttle.admit(units, throttle.EXPORTS.by(str(signed_in.account_id)), refusal=TooManyExports)
    with ExitStack() as stack:
        out = stack.enter_context(archive.room())
        name = await archive.write(units, signed_in.account_id, out, locale=locale_of(request))
        size = out.tell()
        out.seek(0)
        closing = stack.pop_all()
    return Stream(  # type: ignore[return-value]  # what the framework answers with in pieces
        _pieces(out, closing),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(size),
            "Cache-Control": "no-store",
        },
    )


async def _pieces(out: IO[bytes], closing: ExitStack) -> AsyncIterator[bytes]:
    with closing:
        while piece := out.read(_CHUNK):
            yield piece


routes = [export]
