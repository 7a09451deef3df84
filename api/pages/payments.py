"""A member's payments: what was paid, receipts to print, and how to withdraw or stop in two clicks."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward
from api.pages.pay import fresh_key
from api.pages.rendering import page
from coop.billing import instalments, payments, withdrawal
from coop.billing.gateway import Gateway
from coop.billing.instalments import InstalmentPlan
from coop.errors import NotFound
from coop.membership import terms
from coop.membership.terms import Term
from coop.money import ZERO, Money
from coop.unit_of_work import Units


class NoSuchReceipt(NotFound):
    """There is no such receipt of yours."""

    code = "no_such_receipt"


class Ending(msgspec.Struct, forbid_unknown_fields=True):
    """What the forms of /account/stop send."""

    what: Literal["withdraw", "stop"]
    key: Annotated[str, msgspec.Meta(max_length=100)] = ""


@dataclass(frozen=True, slots=True)
class Year:
    """A year of membership as its member sees it."""

    term: Term
    given: Money
    """What the pool, or somebody's gift, paid of it."""
    plan: InstalmentPlan | None = None


@get("/account/payments", include_in_schema=False)
async def overview(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Show everything a member paid, and every year they had."""
    async with units.read() as work:
        made = await payments.made_by(work, signed_in.account_id)
        years = await terms.history(work, signed_in.account_id)
        choice = await withdrawal.choice(work, signed_in.account_id)
        plans = {plan.term_id: plan for plan in await instalments.of_account(work, signed_in.account_id)}
    paid = {payment.term_id: payment.own_part for payment in made if payment.term_id is not None}
    paid |= {term_id: plan.due for term_id, plan in plans.items()}
    return page(
        "payments/overview.html",
        request,
        payments=made,
        number=payments.number,
        years=[
            Year(term, term.price - paid.get(term.id, ZERO), plans.get(term.id)) for term in reversed(years)
        ],
        choice=choice,
    )


@get("/account/payments/{payment_id:uuid}", include_in_schema=False)
async def receipt(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    payment_id: FromPath[UUID],
) -> Response[bytes]:
    """Show one receipt, made to be printed."""
    async with units.read() as work:
        found = await payments.receipt(work, signed_in.account_id, payment_id)
    if found is None:
        raise NoSuchReceipt
    return page("payments/receipt.html", request, payment=found, number=payments.number(found))


@get("/account/stop", include_in_schema=False)
async def ending(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    done: FromQuery[Literal["", "withdrawn", "stopped", "instalments"]] = "",
) -> Response[bytes]:
    """Offer to withdraw while that is possible, and to stop the renewal; without a question why."""
    async with units.read() as work:
        choice = await withdrawal.choice(work, signed_in.account_id)
    return page("payments/stop.html", request, choice=choice, key=fresh_key(), done=done)


@post("/account/stop", include_in_schema=False)
async def end(
    data: URLEncodedBody[Ending],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Do it, at once."""
    act = withdrawal.withdraw if data.what == "withdraw" else withdrawal.stop
    return onward(await act(units, gateway, account_id=signed_in.account_id, key=data.key))


routes = [overview, receipt, ending, end]
