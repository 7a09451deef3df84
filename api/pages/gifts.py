"""Gifts: a year for somebody one knows, as a link with a QR code that can be printed and works once."""

import io
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
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
from coop.billing import checkout, giving, subscriptions
from coop.billing.gateway import Gateway, GatewayAway
from coop.billing.intents import PaymentUnderWay, Wish
from coop.billing.offline import transfers
from coop.billing.operations import InFlight
from coop.errors import Invalid
from coop.membership import terms
from coop.money import ZERO, Money
from coop.policies import Dues
from coop.settings import Settings
from coop.sponsorship import gifts, limits
from coop.sponsorship.gifts import Gift, NoSuchGift
from coop.sponsorship.limits import AlreadyMember
from coop.unit_of_work import UnitOfWork, Units

Typed = Annotated[str, msgspec.Meta(max_length=100)]


class Keyed(msgspec.Struct, forbid_unknown_fields=True):
    """A form with nothing but its key."""

    key: Typed = ""


class Buying(msgspec.Struct, forbid_unknown_fields=True):
    """How a gift is to be paid, which has one price."""

    key: Typed = ""
    way: Literal["card", "transfer"] = "card"


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form with nothing but its button."""


@dataclass(frozen=True, slots=True)
class Given:
    """A gift in its giver's list; the link only while it can be used."""

    gift: Gift
    link: str | None


@dataclass(frozen=True, slots=True)
class Taking:
    """What taking a gift up would do for whoever looks at it."""

    own: bool
    """They gave it themselves."""
    after: datetime | None
    """The end of the year that it would follow; empty when it begins at once."""
    another: bool
    """Another gift follows that year already, so this one cannot."""
    renews: Money | None
    """What would be charged for the same year by itself, and is not any more."""


@get("/gifts", include_in_schema=False)
async def overview(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Show what one gave, and offer to give another."""
    return await _show(request, units, signed_in)


@post("/gifts", include_in_schema=False)
async def buy(
    request: AnyRequest,
    data: URLEncodedBody[Buying],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Lead to the payment page, or to where a bank transfer is to be sent."""
    try:
        if data.way == "transfer":
            async with units.open() as work:
                await transfers.announce(work, signed_in.account_id, ZERO, purpose="gift")
            return onward("/account/transfer")
        async with units.read() as work:
            price = Money((await policies.in_force(work, Dues)).document.price)
        wish = Wish(account_id=signed_in.account_id, amount=price, purpose="gift", next_path="/gifts")
        return onward(await checkout.begin(units, gateway, wish, key=data.key))
    except InFlight as refusal:
        return waiting(request, refusal, data.key)
    except (Invalid, PaymentUnderWay, GatewayAway) as refusal:
        return await _show(request, units, signed_in, {refusal.field or "": refusal.message})


@get("/gifts/{gift_id:uuid}/card", include_in_schema=False)
async def card(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    gift_id: FromPath[UUID],
) -> Response[bytes]:
    """Show a gift as a card to be printed and handed over."""
    gift = await _mine(units, signed_in, gift_id)
    link = _link(units.settings, gift)
    return page("gifts/card.html", request, gift=gift, link=link, code=_qr(link))


@get("/gifts/{gift_id:uuid}/back", include_in_schema=False)
async def before_taking_back(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    gift_id: FromPath[UUID],
) -> Response[bytes]:
    """Ask once more before a link that may be in somebody's hands stops working."""
    gift = await _mine(units, signed_in, gift_id)
    return page("gifts/back.html", request, gift=gift, key=fresh_key())


@post("/gifts/{gift_id:uuid}/back", include_in_schema=False)
async def take_back(
    data: URLEncodedBody[Keyed],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
    gift_id: FromPath[UUID],
) -> Response[bytes]:
    """Give a gift that nobody has taken up back to its giver."""
    return onward(
        await giving.take_back(units, gateway, account_id=signed_in.account_id, gift_id=gift_id, key=data.key)
    )


@get("/gift/{secret:str}", include_in_schema=False)
async def offered(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    secret: FromPath[str],
) -> Response[bytes]:
    """Show the gift behind a link; taking it up is one press more, since programs fetch links."""
    async with units.read() as work:
        gift = await gifts.find(work, secret[:100])
        taking = None if viewer is None else await _taking(work, gift, viewer)
    here = f"/gift/{quote(secret, safe='')}"
    return page("gifts/offered.html", request, gift=gift, here=here, taking=taking)


@post("/gift/{secret:str}", include_in_schema=False)
async def claim(
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
    secret: FromPath[str],
) -> Response[bytes]:
    """Take the gift up."""
    del data
    await giving.claim(units, gateway, account_id=signed_in.account_id, secret=secret[:100])
    return onward("/account")


async def _taking(work: UnitOfWork, gift: Gift, viewer: Viewer) -> Taking:
    after = None
    try:
        await limits.may_renew(work, viewer.account_id)
    except AlreadyMember:
        latest = await terms.latest(work, viewer.account_id)
        after = None if latest is None else latest.ends
    renewing = await subscriptions.renewing(work, viewer.account_id)
    return Taking(
        own=gift.account_id == viewer.account_id,
        after=after,
        another=after is not None and await gifts.waits_for(work, viewer.account_id) is not None,
        renews=None if renewing is None else renewing.amount,
    )


async def _mine(units: Units, viewer: Viewer, gift_id: UUID) -> Gift:
    """Return a gift that this giver can still dispose of; anybody else's is nobody's."""
    async with units.read() as work:
        gift = await gifts.waiting_of(work, viewer.account_id, gift_id)
    if gift is None:
        raise NoSuchGift
    return gift


async def _show(
    request: AnyRequest, units: Units, viewer: Viewer, errors: dict[str, str] | None = None
) -> Response[bytes]:
    async with units.read() as work:
        price = Money((await policies.in_force(work, Dues)).document.price)
        given = await gifts.given_by(work, viewer.account_id)
        transfer = await transfers.current(work, viewer.account_id, "gift")
    return page(
        "gifts/gifts.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        form_targets=hosted(units.settings),
        price=price,
        announced=[transfer] if transfer else [],
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


routes = [overview, buy, card, before_taking_back, take_back, offered, claim]
