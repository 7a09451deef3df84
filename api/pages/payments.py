"""A member's payments: what was paid, receipts to print, and how to withdraw or stop in two clicks."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages import papers
from api.pages.entrance import onward
from api.pages.papers import Paper
from api.pages.pay import fresh_key
from api.pages.rendering import locale_of, page
from coop.billing import instalment_plans, payments, receipts, withdrawal
from coop.billing.gateway import Gateway
from coop.billing.instalment_plans import InstalmentPlan
from coop.billing.offline import transfers
from coop.billing.payments import Payment
from coop.errors import NotFound
from coop.membership import organisations, terms
from coop.membership.terms import Term
from coop.money import Money
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
    own: Money
    """What they pay of it."""
    given: Money
    """What the pool, somebody's gift or whoever pays for their household paid of it."""
    plan: InstalmentPlan | None = None


@get("/account/payments", include_in_schema=False)
async def overview(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Show everything a member paid, and every year they had."""
    async with units.read() as work:
        made = await payments.made_by(work, signed_in.account_id)
        paid = [
            (term, await withdrawal.paid_by(work, signed_in.account_id, term))
            for term in await terms.history(work, signed_in.account_id)
        ]
        choice = await withdrawal.choice(work, signed_in.account_id)
        announced = await transfers.announced(work, signed_in.account_id)
        plans = {plan.term_id: plan for plan in await instalment_plans.of_account(work, signed_in.account_id)}
    return page(
        "payments/overview.html",
        request,
        payments=made,
        announced=announced,
        years=[Year(term, own, term.price - own, plans.get(term.id)) for term, own in reversed(paid)],
        choice=choice,
    )


@get("/account/payments/{payment_id:uuid}", include_in_schema=False)
async def receipt(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    payment_id: FromPath[UUID],
) -> Response[bytes]:
    """Show a receipt, with the credit notes of what was given back of it."""
    payment, written = await _papers(request, units, signed_in, payment_id)
    return page("payments/receipt.html", request, payment=payment, papers=written)


@get("/account/payments/{payment_id:uuid}/receipt.pdf", include_in_schema=False)
async def receipt_pdf(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    payment_id: FromPath[UUID],
    number: FromQuery[Annotated[str, msgspec.Meta(max_length=20)]] = "",
) -> Response[bytes]:
    """Give a receipt, or a credit note, as an accessible PDF."""
    _, written = await _papers(request, units, signed_in, payment_id)
    paper = next((one for one in written if one.number == number), None) if number else written[0]
    if paper is None:
        raise NoSuchReceipt
    return Response(
        await papers.pdf(paper),
        media_type="application/pdf",
        headers={
            "Content-Disposition": f'attachment; filename="{paper.number}.pdf"',
            "Cache-Control": "no-store",
        },
    )


async def _papers(
    request: AnyRequest, units: Units, viewer: Viewer, payment_id: UUID
) -> tuple[Payment, list[Paper]]:
    """Return what was issued for a payment of the viewer, in their language; issued now if nothing was."""
    async with units.read() as work:
        payment = await payments.receipt(work, viewer.account_id, payment_id)
        issued = [] if payment is None else await receipts.find(work, payment_id)
        organisation = await organisations.of(work, viewer.account_id)
    if payment is None:
        raise NoSuchReceipt
    if not issued:
        async with units.open() as work:
            issued = [await receipts.of_payment(work, payment)]
    locale, called = locale_of(request), viewer.display_name or viewer.handle
    if organisation is not None:
        called = organisation.name
    return payment, [papers.written(one, units.settings, locale, called=called) for one in issued]


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


routes = [overview, receipt, receipt_pdf, ending, end]
