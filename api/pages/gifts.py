"""Gifts: a year for somebody one knows, as a link with a QR code that can be printed and works once."""

import io
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

import msgspec
import segno
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.pay import fresh_key, hosted, waiting
from api.pages.rendering import page
from coop import policies
from coop.billing import checkout
from coop.billing.checkout import Wish
from coop.billing.gateway import Gateway, GatewayAway
from coop.billing.operations import InFlight
from coop.errors import Invalid
from coop.money import Money
from coop.policies import Dues
from coop.settings import Settings
from coop.sponsorship import gifts
from coop.sponsorship.gifts import Gift, NoSuchGift
from coop.unit_of_work import Units

Typed = Annotated[str, msgspec.Meta(max_length=100)]


class Purchase(msgspec.Struct, forbid_unknown_fields=True):
    """What the form sends: nothing but its key, since a gift has one price."""

    key: Typed = ""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form with nothing but its button."""


@dataclass(frozen=True, slots=True)
class Given:
    """A gift in its giver's list; the link only while it can be used."""

    gift: Gift
    link: str | None


@get("/gifts", include_in_schema=False)
async def overview(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Show what one gave, and offer to give another."""
    return await _show(request, units, signed_in)


@post("/gifts", include_in_schema=False)
async def buy(
    request: AnyRequest,
    data: URLEncodedBody[Purchase],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Lead to the payment page."""
    try:
        async with units.read() as work:
            price = Money((await policies.in_force(work, Dues)).document.price)
        wish = Wish(account_id=signed_in.account_id, amount=price, purpose="gift", next_path="/gifts")
        return onward(await checkout.begin(units, gateway, wish, key=data.key))
    except InFlight as refusal:
        return waiting(request, refusal, data.key)
    except (Invalid, GatewayAway) as refusal:
        return await _show(request, units, signed_in, {refusal.field or "": refusal.message})


@get("/gifts/{gift_id:uuid}/card", include_in_schema=False)
async def card(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    gift_id: FromPath[UUID],
) -> Response[bytes]:
    """Show a gift as a card to be printed and handed over."""
    async with units.read() as work:
        mine = {gift.id: gift for gift in await gifts.given_by(work, signed_in.account_id)}
    gift = mine.get(gift_id)
    if gift is None or gift.state != "waiting":
        raise NoSuchGift
    link = _link(units.settings, gift)
    return page("gifts/card.html", request, gift=gift, link=link, code=_qr(link))


@get("/gift/{secret:str}", include_in_schema=False)
async def offered(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    secret: FromPath[str],
) -> Response[bytes]:
    """Show the gift behind a link; taking it up is one press more, since programs fetch links."""
    del viewer
    async with units.read() as work:
        gift = await gifts.find(work, secret[:100])
    here = f"/gift/{quote(secret, safe='')}"
    return page("gifts/offered.html", request, gift=gift, here=here)


@post("/gift/{secret:str}", include_in_schema=False)
async def claim(
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    secret: FromPath[str],
) -> Response[bytes]:
    """Take the gift up."""
    del data
    async with units.open() as work:
        await gifts.claim(work, signed_in.account_id, secret[:100])
    return onward("/account")


async def _show(
    request: AnyRequest, units: Units, viewer: Viewer, errors: dict[str, str] | None = None
) -> Response[bytes]:
    async with units.read() as work:
        price = Money((await policies.in_force(work, Dues)).document.price)
        given = await gifts.given_by(work, viewer.account_id)
    return page(
        "gifts/gifts.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        form_targets=hosted(units.settings),
        price=price,
        given=[
            Given(gift, _link(units.settings, gift) if gift.state == "waiting" else None) for gift in given
        ],
        days=gifts.KEPT.days,
        key=fresh_key(),
        errors=told(request, errors or {}),
    )


def _link(settings: Settings, gift: Gift) -> str:
    return settings.url(f"/gift/{gifts.code(settings, gift.id)}")


def _qr(link: str) -> str:
    """Return a QR code as SVG without any style or script of its own."""
    drawn = io.BytesIO()
    segno.make(link, error="m").save(
        drawn, kind="svg", xmldecl=False, svgns=True, scale=5, border=2, light="#fff"
    )
    return drawn.getvalue().decode()


routes = [overview, buy, card, offered, claim]
