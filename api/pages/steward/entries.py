"""Whom an entry in the books concerns: for a treasurer, with a reason that this person reads."""

from http import HTTPStatus

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import told
from api.pages.rendering import page
from api.pages.steward.access import PATH, Typed, admit_treasurer
from coop.billing.desk import waiting
from coop.errors import Invalid
from coop.unit_of_work import Units

HERE = f"{PATH}/entry"


class Look(msgspec.Struct, forbid_unknown_fields=True):
    """Under which reference an entry stands, and why its person is to be known."""

    reference: Typed = ""
    reason: Typed = ""


@get(HERE, include_in_schema=False)
async def ask(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Ask for the reference, and why."""
    async with units.read() as work:
        await admit_treasurer(work, signed_in)
    return page("steward/entry.html", request, given=Look(), looked=False, errors={})


@post(HERE, status_code=HTTPStatus.OK, include_in_schema=False)
async def look(
    request: AnyRequest,
    data: URLEncodedBody[Look],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Name the person, this once: every look is a line that they read."""
    try:
        async with units.open() as work:
            account = await waiting.whose(work, data.reference, by=signed_in.account_id, reason=data.reason)
    except Invalid as refusal:
        errors = told(request, {refusal.field or "reference": refusal.message})
        return page(
            "steward/entry.html",
            request,
            status=HTTPStatus.BAD_REQUEST,
            given=data,
            looked=False,
            errors=errors,
        )
    return page("steward/entry.html", request, given=data, looked=True, account=account, errors={})


routes = [ask, look]
