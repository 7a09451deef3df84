"""The card that is charged by itself: see which one it is, and leave another, once for everything."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.pay import fresh_key, hosted, waiting
from api.pages.rendering import page
from api.security import local_path
from coop.billing import cards, choices
from coop.billing.cards import CardVisit, Face
from coop.billing.gateway import Gateway, GatewayAway, GatewayRefused, NotVisible
from coop.billing.operations import InFlight
from coop.errors import CoopError
from coop.unit_of_work import Units

OWN = "/account/card"


class Keep(msgspec.Struct, forbid_unknown_fields=True):
    """What the form sends: where to go in the end."""

    key: Annotated[str, msgspec.Meta(max_length=100)] = ""
    next: Annotated[str, msgspec.Meta(max_length=8000)] = ""


@get(OWN, include_in_schema=False)
async def show(
    request: AnyRequest,
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
    next: FromQuery[str] = "",  # noqa: A002 - the name of the query parameter
) -> Response[bytes]:
    """Show the card that would be charged next."""
    return await _show(request, units, gateway, signed_in, next)


@post(OWN, include_in_schema=False)
async def keep(
    request: AnyRequest,
    data: URLEncodedBody[Keep],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Lead to the processor's page, which takes the card; we never see its number."""
    try:
        url = await cards.begin(
            units,
            gateway,
            account_id=signed_in.account_id,
            next_path=_path(data.next),
            key=data.key,
        )
    except InFlight as refusal:
        return waiting(request, refusal, data.key)
    except (GatewayAway, GatewayRefused) as refusal:
        return await _show(request, units, gateway, signed_in, data.next, refusal=refusal)
    return onward(url)


@get(f"{OWN}/return", include_in_schema=False)
async def came_back(
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
    visit: FromQuery[Annotated[str, msgspec.Meta(max_length=100)]] = "",
) -> Response[bytes]:
    """Make the card the one that is charged, and lead on."""
    found = await _visit(units, signed_in, visit)
    if found is None:
        return onward(OWN)
    done = found
    try:
        done = await cards.settle(units, gateway, found.id) or found
    except (GatewayAway, GatewayRefused, NotVisible):
        # The worker carries it on.
        return onward(f"{OWN}?next={quote(found.next_path, safe='')}")
    if done.state not in {"kept", "used"}:
        return onward(f"{OWN}?next={quote(found.next_path, safe='')}")
    return onward(f"{OWN}?done=1" if found.next_path == OWN else found.next_path)


async def _visit(units: Units, viewer: Viewer, raw: str) -> CardVisit | None:
    try:
        visit_id = UUID(raw)
    except ValueError:
        return None
    async with units.read() as work:
        found = await work.session.get(CardVisit, visit_id)
    # Somebody else's visit is nobody's.
    return found if found is not None and found.account_id == viewer.account_id else None


def _path(wanted: str) -> str:
    return local_path(wanted) if wanted else OWN


async def _show(
    request: AnyRequest,
    units: Units,
    gateway: Gateway,
    viewer: Viewer,
    wanted: str,
    *,
    refusal: CoopError | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        customer = await cards.customer_of(work, viewer.account_id)
        prospect = await choices.prospect(work, viewer.account_id)
    face: Face | None = None
    away = False
    if customer is not None:
        try:
            face = await gateway.cards.face(customer)
        except (GatewayAway, GatewayRefused, NotVisible):
            away = True
    return page(
        "card/card.html",
        request,
        status=HTTPStatus.BAD_REQUEST if refusal else HTTPStatus.OK,
        form_targets=hosted(units.settings),
        face=face,
        away=away,
        owing=prospect.owing,
        prospect=prospect,
        key=fresh_key(),
        next_path=_path(wanted),
        done="done" in request.query_params,
        errors=told(request, {} if refusal is None else {"": refusal.message}),
    )


routes = [show, keep, came_back]
