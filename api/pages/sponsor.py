"""Sponsoring: pay for others, known to nobody, and see the years that it bought."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.pay import chosen, fresh_key, hosted, waiting
from api.pages.rendering import page
from coop import policies
from coop.billing import checkout, payments
from coop.billing.checkout import Wish
from coop.billing.gateway import Gateway, GatewayAway
from coop.billing.operations import InFlight
from coop.errors import Invalid
from coop.money import ZERO, Money
from coop.policies import Dues
from coop.sponsorship import outlook, pool
from coop.unit_of_work import Units

PRESETS = (1, 2, 4)
"""Years that the page offers to pay for."""

Typed = Annotated[str, msgspec.Meta(max_length=100)]


class Gift(msgspec.Struct, forbid_unknown_fields=True):
    """What the form sends; amounts as a person writes them."""

    amount: Typed = ""
    other: Typed = ""
    key: Typed = ""


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
        wish = Wish(account_id=signed_in.account_id, amount=amount, purpose="sponsor")
        return onward(await checkout.begin(units, gateway, wish, key=data.key))
    except InFlight as refusal:
        return waiting(request, refusal, data.key)
    except (Invalid, GatewayAway) as refusal:
        return await _ask(request, units, signed_in, data, {refusal.field or "": refusal.message})


async def _ask(
    request: AnyRequest,
    units: Units,
    viewer: Viewer | None,
    given: Gift,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        price = Money((await policies.in_force(work, Dues)).document.price)
        free = await pool.free(work)
        waiting = await outlook.length(work)
        mine = [] if viewer is None else await payments.made_by(work, viewer.account_id)
    sponsored = [payment for payment in mine if payment.purpose == "sponsor" and not payment.disputed]
    plain = units.settings.money.plain
    offers = [(plain(price * years), price * years, years) for years in PRESETS]
    value = given.amount or plain(price)
    return page(
        "sponsor/sponsor.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        form_targets=hosted(units.settings),
        price=price,
        free=free,
        years=free.minor // price.minor,
        waiting=waiting,
        offers=offers,
        value=value if value in {text for text, _, _ in offers} else "other",
        other=given.other,
        key=fresh_key(),
        given=sum((payment.amount for payment in sponsored), ZERO),
        # Each gift counts at the price of its own day, so that years bought stay bought.
        bought=sum(payment.amount.minor // payment.price.minor for payment in sponsored),
        errors=told(request, errors or {}),
    )


routes = [form, submit]
