"""Joining for an organisation: saying so, before anything is paid."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.rendering import page
from coop import policies
from coop.billing import intents
from coop.errors import Invalid, Refused
from coop.membership import households, organisations, terms
from coop.money import Money
from coop.policies import Dues
from coop.sponsorship import places
from coop.unit_of_work import Units

HERE = "/join/organisation"


class Registration(msgspec.Struct, forbid_unknown_fields=True):
    """What the form sends: a name, or that it was a mistake."""

    name: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    person: Annotated[str, msgspec.Meta(max_length=10)] = ""


@get(HERE, include_in_schema=False)
async def form(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Say what an organisation's membership is, and ask for its name."""
    return await _ask(request, units, signed_in)


@post(HERE, include_in_schema=False)
async def submit(
    request: AnyRequest,
    data: URLEncodedBody[Registration],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Let the account stand for the organisation, and lead on to paying; or let it be a person's again."""
    try:
        async with units.open() as work:
            if data.person:
                await organisations.turn_back(work, signed_in.account_id)
                return onward("/join")
            # What was begun as a person ends as one; the queue first, so that no request slips in between.
            await places.lock(work)
            paying = await intents.live(work, signed_in.account_id)
            if paying is not None or await places.open_place(work, signed_in.account_id) is not None:
                raise UnderWay
            if await households.of(work, signed_in.account_id) is not None:
                raise organisations.AccountOfAPerson
            await organisations.register(work, signed_in.account_id, data.name)
    except Invalid as refusal:
        return await _ask(request, units, signed_in, data.name, {refusal.field or "": refusal.message})
    return onward("/join")


class UnderWay(Refused):
    """A payment or a request for a place is under way on this account. Let it end first, or take it back."""

    code = "under_way"


async def _ask(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    name: str = "",
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        present = await organisations.of(work, viewer.account_id)
        least = await organisations.least(work)
        price = Money((await policies.in_force(work, Dues)).document.price)
        been = bool(await terms.history(work, viewer.account_id))
    return page(
        "join/organisation.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        organisation=present,
        least=least,
        price=price,
        been=been,
        name=name,
        longest=organisations.LONGEST_NAME,
        errors=told(request, errors or {}),
    )


routes = [form, submit]
