"""A member's data: all of it in one archive to take along, and all of it gone."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import IO

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Stream

from api import archive
from api.dependencies import AnyRequest, Viewer, require_recent
from api.pages.entrance import onward
from api.pages.rendering import locale_of, page
from api.pages.security import Nothing
from coop.billing import withdrawal
from coop.identity import throttle
from coop.leaving import erasures
from coop.leaving.export import TooManyExports
from coop.membership import households
from coop.sponsorship import gifts
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


@get("/account/erase", include_in_schema=False)
async def erasure(
    request: AnyRequest, signed_in: NamedDependency[Viewer], units: NamedDependency[Units]
) -> Response[bytes]:
    """Say in plain words what goes and what stays, or when it will be done and how to keep the account."""
    async with units.read() as work:
        known = await erasures.of(work, signed_in.account_id)
        if known is None:
            require_recent(request, signed_in)
        household = await households.of(work, signed_in.account_id)
        return page(
            "account/erase.html",
            request,
            erasure=known,
            days=(await erasures.days(work)).days,
            alone_in=await erasures.alone_in(work, signed_in.account_id),
            offices=await erasures.alone_as(work, signed_in.account_id),
            choice=await withdrawal.choice(work, signed_in.account_id),
            pays_household=household is not None
            and household.payer_id == signed_in.account_id
            and household.size > 1,
            gifts=await gifts.unused(work, signed_in.account_id),
        )


@post("/account/erase", include_in_schema=False)
async def erase(
    request: AnyRequest,
    data: URLEncodedBody[Nothing],
    signed_in: NamedDependency[Viewer],
    units: NamedDependency[Units],
) -> Response[bytes]:
    """Write the wish down, of whoever has just proved who they are."""
    del data
    require_recent(request, signed_in, next_path="/account/erase")
    async with units.open() as work:
        await erasures.ask(work, signed_in.account_id)
    return onward("/account/erase")


@post("/account/erase/keep", include_in_schema=False)
async def keep(
    data: URLEncodedBody[Nothing], signed_in: NamedDependency[Viewer], units: NamedDependency[Units]
) -> Response[bytes]:
    """Keep the account after all; one button, as long as there is one."""
    del data
    async with units.open() as work:
        await erasures.keep(work, signed_in.account_id)
    return onward("/account")


routes = [export, erasure, erase, keep]
