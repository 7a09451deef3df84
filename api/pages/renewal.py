"""The renewal of one's membership: another amount, a pause, or no further year; signed in, or by the link in a letter."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.pay import fresh_key
from api.pages.rendering import page
from coop.billing import choices, withdrawal
from coop.billing.choices import NothingRenews, YearHasEnded
from coop.billing.gateway import Gateway
from coop.billing.intents import AutomaticNeedsEmail
from coop.errors import CoopError, Invalid
from coop.membership import renewal_links
from coop.money import ZERO
from coop.unit_of_work import Units

OWN = "/account/renewal"

Done = Literal["", "amount", "pause", "resume", "stop"]


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What the forms send; the amount as a person writes it."""

    what: Literal["amount", "pause", "resume", "stop"]
    amount: Annotated[str, msgspec.Meta(max_length=100)] = ""
    key: Annotated[str, msgspec.Meta(max_length=100)] = ""


@get(OWN, include_in_schema=False)
async def own(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    done: FromQuery[Done] = "",
) -> Response[bytes]:
    """Show how one's membership renews."""
    return await _show(request, units, signed_in.account_id, OWN, done=done)


@post(OWN, include_in_schema=False)
async def decide(
    request: AnyRequest,
    data: URLEncodedBody[Decision],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Do what was decided, at once."""
    return await _decide(request, units, gateway, signed_in.account_id, OWN, data, signed_in=True)


@get("/renewal/{token:str}", include_in_schema=False)
async def by_letter(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    token: FromPath[Annotated[str, msgspec.Meta(max_length=100)]],
    done: FromQuery[Done] = "",
) -> Response[bytes]:
    """Show the renewal that a letter speaks of; programs that fetch links in letters change nothing."""
    del viewer
    async with units.read() as work:
        account_id = await renewal_links.owner(work, token)
    return await _show(request, units, account_id, f"/renewal/{token}", done=done)


@post("/renewal/{token:str}", include_in_schema=False)
async def decide_by_letter(
    request: AnyRequest,
    data: URLEncodedBody[Decision],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    viewer: NamedDependency[Viewer | None],
    token: FromPath[Annotated[str, msgspec.Meta(max_length=100)]],
) -> Response[bytes]:
    """Do what was decided for the renewal that a letter speaks of."""
    del viewer
    async with units.read() as work:
        account_id = await renewal_links.owner(work, token)
    path = f"/renewal/{token}"
    return await _decide(request, units, gateway, account_id, path, data, signed_in=False)


async def _decide(
    request: AnyRequest,
    units: Units,
    gateway: Gateway,
    account_id: UUID,
    path: str,
    data: Decision,
    *,
    signed_in: bool,
) -> Response[bytes]:
    try:
        if data.what == "stop":
            await withdrawal.stop(units, gateway, account_id=account_id, key=data.key)
        else:
            amount = (
                units.settings.money.parse(data.amount, field="amount") if data.what == "amount" else ZERO
            )
            await choices.change(
                units,
                gateway,
                account_id=account_id,
                what=data.what,
                key=data.key,
                amount=amount,
                signed_in=signed_in,
            )
    except (Invalid, NothingRenews, YearHasEnded, AutomaticNeedsEmail) as refusal:
        return await _show(request, units, account_id, path, refusal=refusal, typed=data.amount)
    return onward(f"{path}?done={data.what}")


async def _show(
    request: AnyRequest,
    units: Units,
    account_id: UUID,
    path: str,
    *,
    done: Done = "",
    refusal: CoopError | None = None,
    typed: str = "",
) -> Response[bytes]:
    async with units.read() as work:
        prospect = await choices.prospect(work, account_id)
    amount = "" if prospect.amount is None else units.settings.money.plain(prospect.amount)
    return page(
        "renewal/renewal.html",
        request,
        status=HTTPStatus.BAD_REQUEST if refusal else HTTPStatus.OK,
        prospect=prospect,
        here=path,
        own=path == OWN,
        typed=typed or amount,
        key=fresh_key(),
        done=done,
        errors=told(request, {} if refusal is None else {refusal.field or "": refusal.message}),
    )


routes = [own, decide, by_letter, decide_by_letter]
