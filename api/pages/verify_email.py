"""Where the link in a verification letter leads: one button, since programs that fetch links must not press it."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.rendering import page
from coop.identity import links, verification
from coop.identity.links import DeadLink
from coop.unit_of_work import Units


class Token(msgspec.Struct, forbid_unknown_fields=True):
    """The token of the link."""

    token: Annotated[str, msgspec.Meta(max_length=100)] = ""


@get("/verify-email", include_in_schema=False)
async def form(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    token: FromQuery[Annotated[str, msgspec.Meta(max_length=100)]] = "",
) -> Response[bytes]:
    """Ask for the one press that confirms the address."""
    del viewer
    async with units.read() as work:
        if not await links.alive(work, "verify", token):
            raise DeadLink
    return page("verify_email/form.html", request, token=token)


@post("/verify-email", status_code=HTTPStatus.OK, include_in_schema=False)
async def submit(
    request: AnyRequest,
    data: URLEncodedBody[Token],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Make the address the account's own; it signs nobody in."""
    del viewer
    async with units.open() as work:
        await verification.confirm(work, data.token)
    return page("verify_email/done.html", request)


routes = [form, submit]
