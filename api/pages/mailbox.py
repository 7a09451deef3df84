"""The demo's mailbox: every letter that would have left by mail, so that a newcomer needs no mail server."""

from typing import Annotated

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, Parameter
from sqlalchemy import select

from api.dependencies import Viewer
from api.pages.rendering import page
from coop.errors import NotFound
from coop.mail import MailboxLetter
from coop.settings import Settings
from coop.unit_of_work import Units

AnyRequest = Request[object, object, State]
SHOWN = 50


@get("/mailbox", include_in_schema=False)
async def letters(
    request: AnyRequest,
    settings: NamedDependency[Settings],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    to: FromQuery[Annotated[str, Parameter(max_length=254)]] = "",
    before: FromQuery[Annotated[int, Parameter(ge=0, le=2**63 - 1)] | None] = None,
) -> Response[bytes]:
    """List the letters, newest first; `to` keeps those of one address."""
    del viewer
    if not settings.demo:
        raise NotFound
    query = select(MailboxLetter).order_by(MailboxLetter.id.desc()).limit(SHOWN + 1)
    if to:
        query = query.where(MailboxLetter.recipient == to.strip().lower())
    if before is not None:
        query = query.where(MailboxLetter.id < before)
    async with units.read() as work:
        found = (await work.session.scalars(query)).all()
    return page("mailbox/letters.html", request, letters=found[:SHOWN], more=len(found) > SHOWN, to=to)


@get("/mailbox/{letter_id:int}", include_in_schema=False)
async def letter(
    request: AnyRequest,
    settings: NamedDependency[Settings],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    letter_id: FromPath[int],
) -> Response[bytes]:
    """Show one letter as its reader would see it, with links that work."""
    del viewer
    if not settings.demo or not 0 < letter_id < 2**63:
        raise NotFound
    async with units.read() as work:
        found = await work.session.get(MailboxLetter, letter_id)
    if found is None:
        raise NotFound("There is no such letter in this mailbox.")
    return page("mailbox/letter.html", request, letter=found)


routes = [letters, letter]
