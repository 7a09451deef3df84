"""A place paid for by the solidarity pool: one button to ask, and the queue, if there is one."""

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
from coop.billing import checkout, credit
from coop.billing.gateway import Gateway
from coop.billing.intents import PaymentUnderWay
from coop.errors import Invalid
from coop.identity import accounts, addresses, verification
from coop.membership import standing
from coop.money import Money
from coop.policies import Dues
from coop.sponsorship import limits, outlook, places
from coop.sponsorship.limits import AlreadyMember, EmailNeeded
from coop.unit_of_work import Units


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form with nothing but its button."""


class Address(msgspec.Struct, forbid_unknown_fields=True):
    """Where the letter goes."""

    email: Annotated[str, msgspec.Meta(max_length=300)] = ""


@get("/place", include_in_schema=False)
async def show(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Show the button, or where one stands in the queue."""
    return await _show(request, units, signed_in)


@post("/place", include_in_schema=False)
async def ask(
    request: AnyRequest,
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Ask for a place; asking twice is asking once, so this needs no key."""
    del data
    try:
        await checkout.ask(units, gateway, signed_in.account_id)
    except EmailNeeded:
        return await _show(request, units, signed_in, unconfirmed=True)
    except PaymentUnderWay as refusal:
        return await _show(request, units, signed_in, errors={"": refusal.message})
    except AlreadyMember:
        return onward("/account")
    return onward("/place")


@post("/place/leave", include_in_schema=False)
async def leave(
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Take the request back, or give the offer back."""
    del data
    await credit.leave(units, gateway, signed_in.account_id)
    return onward("/place")


@post("/place/email", include_in_schema=False)
async def confirm(
    request: AnyRequest,
    data: URLEncodedBody[Address],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Send the letter that confirms an address, right where it is needed."""
    try:
        address = addresses.checked(data.email)
    except Invalid as refusal:
        return await _show(request, units, signed_in, unconfirmed=True, errors={"email": refusal.message})
    if address is None:
        return await _show(request, units, signed_in, unconfirmed=True)
    async with units.open() as work:
        account = await accounts.get(work, signed_in.account_id)
        await verification.ask(work, account, address)
    return await _show(request, units, signed_in, sent=True)


async def _show(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    *,
    unconfirmed: bool = False,
    sent: bool = False,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        dues = (await policies.in_force(work, Dues)).document
        latest = await places.latest(work, viewer.account_id)
        place = latest if latest is not None and latest.state in places.OPEN else None
        where = None if place is None else await outlook.where(work, place)
        stands = await standing.of(work, viewer.account_id)
        figures = await outlook.figures(work)
        payable = True
        try:
            await limits.may_renew(work, viewer.account_id)
        except AlreadyMember:
            payable = False
    price = Money(dues.price)
    return page(
        "place/place.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        place=place,
        where=where,
        standing=stands,
        payable=payable,
        lapsed=latest is not None and latest.ended_as == "lapsed",
        figures=figures,
        years=figures.free.minor // price.minor,
        price=price,
        unconfirmed=unconfirmed,
        sent=sent,
        errors=told(request, errors or {}),
    )


routes = [show, ask, leave, confirm]
