"""Sponsoring: pay for others, known to nobody, and see the years that it bought."""

from http import HTTPStatus
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.languages import marked
from api.pages.pay import chosen, fresh_key, hosted, waiting
from api.pages.rendering import page
from coop import policies
from coop.billing import checkout, sponsoring
from coop.billing.gateway import Gateway, GatewayAway
from coop.billing.intents import AlreadyMonthly, AutomaticNeedsEmail, PaymentUnderWay, Wish
from coop.billing.operations import InFlight
from coop.errors import Invalid
from coop.membership import organisations
from coop.money import Money
from coop.policies import Dues
from coop.sponsorship import impact, institutions, outlook
from coop.unit_of_work import Units

PRESETS = (1, 2, 4)
"""Years that the page offers to pay for."""

ADDRESS_NEEDED = marked(
    "For a monthly gift we need an e-mail address that you have confirmed, to tell you if a charge fails."
)

Typed = Annotated[str, msgspec.Meta(max_length=100)]


class Gift(msgspec.Struct, forbid_unknown_fields=True):
    """What the form sends; amounts as a person writes them."""

    amount: Typed = ""
    other: Typed = ""
    often: Literal["once", "monthly"] = "once"
    key: Typed = ""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form with nothing but its button."""


class Introduction(msgspec.Struct, forbid_unknown_fields=True):
    """Who an organisation is, and whether it wants to be named."""

    name: Annotated[str, msgspec.Meta(max_length=300)] = ""
    named: Literal["yes", "no"] = "no"


@get("/sponsor", include_in_schema=False)
async def form(
    request: AnyRequest, units: NamedDependency[Units], viewer: NamedDependency[Viewer | None]
) -> Response[bytes]:
    """Ask how many years to pay for; visitors see the pool, too."""
    return await _ask(request, units, viewer, Gift())


@post("/sponsor", include_in_schema=False)
async def submit(
    request: AnyRequest,
    data: URLEncodedBody[Gift],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Lead to the payment page."""
    try:
        amount = chosen(units.settings, data.amount, data.other)
        wish = Wish(
            account_id=signed_in.account_id,
            amount=amount,
            purpose="sponsor",
            automatic=data.often == "monthly",
        )
        return onward(await checkout.begin(units, gateway, wish, key=data.key))
    except InFlight as refusal:
        return waiting(request, refusal, data.key)
    except AutomaticNeedsEmail:
        return await _ask(request, units, signed_in, data, {"often": ADDRESS_NEEDED})
    except (Invalid, AlreadyMonthly, PaymentUnderWay, GatewayAway) as refusal:
        return await _ask(request, units, signed_in, data, {refusal.field or "": refusal.message})


@post("/sponsor/stop", include_in_schema=False)
async def stop(
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """End a monthly gift, at once."""
    del data
    await sponsoring.stop(units, gateway, signed_in.account_id)
    return onward("/sponsor?stopped=1")


@get("/sponsor/organisation", include_in_schema=False)
async def organisation(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Ask an organisation who it is and whether it wants to be named."""
    return await _introduce(request, units, signed_in)


@post("/sponsor/organisation", include_in_schema=False)
async def introduce(
    request: AnyRequest,
    data: URLEncodedBody[Introduction],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Write it down; to be named waits for a treasurer."""
    try:
        async with units.open() as work:
            await institutions.introduce(
                work, signed_in.account_id, name=data.name, named=data.named == "yes"
            )
    except Invalid as refusal:
        return await _introduce(request, units, signed_in, data, {refusal.field or "": refusal.message})
    return onward("/sponsor/organisation?done=1")


@get("/sponsors", include_in_schema=False)
async def named(
    request: AnyRequest, units: NamedDependency[Units], viewer: NamedDependency[Viewer | None]
) -> Response[bytes]:
    """Name the organisations that want it, and say what all of them together cannot buy."""
    del viewer
    async with units.read() as work:
        names = await sponsoring.named(work)
        cells = await impact.cells(work)
    return page("sponsor/sponsors.html", request, names=names, cells=list(reversed(cells)))


async def _ask(
    request: AnyRequest,
    units: Units,
    viewer: Viewer | None,
    given: Gift,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        price = Money((await policies.in_force(work, Dues)).document.price)
        figures = await outlook.figures(work)
        cells = await impact.cells(work)
        mine = None if viewer is None else await sponsoring.given_by(work, viewer.account_id)
        monthly = None if viewer is None else await sponsoring.monthly(work, viewer.account_id)
    plain = units.settings.money.plain
    offers = [(plain(price * years), price * years, years) for years in PRESETS]
    value = given.amount or plain(price)
    return page(
        "sponsor/sponsor.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        form_targets=hosted(units.settings),
        price=price,
        figures=figures,
        years=figures.free.minor // price.minor,
        offers=offers,
        value=value if value in {text for text, _, _ in offers} else "other",
        other=given.other,
        often=given.often,
        key=fresh_key(),
        mine=mine,
        monthly=monthly,
        stopped="stopped" in request.query_params,
        cells=list(reversed(cells)),
        errors=told(request, errors or {}),
    )


async def _introduce(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    given: Introduction | None = None,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        known = await institutions.of(work, viewer.account_id)
        stands_for = known or await organisations.of(work, viewer.account_id)
    if given is None:
        named: Literal["yes", "no"] = "yes" if known is not None and known.named else "no"
        given = Introduction(name="" if stands_for is None else stands_for.name, named=named)
    return page(
        "sponsor/organisation.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        known=known,
        given=given,
        done="done" in request.query_params,
        errors=told(request, errors or {}),
    )


routes = [form, submit, stop, organisation, introduce, named]
