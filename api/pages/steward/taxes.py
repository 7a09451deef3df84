"""VAT on the desk: what is owed to the tax office, month by month, and what was paid to it."""

from http import HTTPStatus
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.rendering import page
from api.pages.steward.access import PATH, Typed, admit_treasurer
from api.pages.steward.money import Done
from coop.billing import vat_payments
from coop.billing.desk import acts
from coop.billing.vat_payments import PayVat, UndoVat, VatRecorded
from coop.errors import Invalid
from coop.money import ZERO
from coop.unit_of_work import Units

HERE = f"{PATH}/vat"


class Paid(msgspec.Struct, forbid_unknown_fields=True):
    """What was paid, for which period, and why it is recorded."""

    period: Typed = ""
    amount: Typed = ""
    reference: Typed = ""
    reason: Typed = ""


class Undone(msgspec.Struct, forbid_unknown_fields=True):
    """Why a payment is undone."""

    reason: Typed = ""


@get(HERE, include_in_schema=False)
async def overview(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    done: FromQuery[Done] = "",
) -> Response[bytes]:
    """Show what is owed and what was paid."""
    return await _show(request, units, signed_in, Paid(), done=done)


@post(HERE, include_in_schema=False)
async def record(
    request: AnyRequest,
    data: URLEncodedBody[Paid],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Record a payment; a large one is proposed to a second treasurer."""
    try:
        amount = units.settings.money.parse(data.amount)
        act = PayVat(period=data.period.strip(), reference=data.reference, amount=amount.minor)
        async with units.open() as work:
            proposal = await acts.decide(work, act, by=signed_in.account_id, reason=data.reason)
    except VatRecorded:
        # A second press of the button.
        return onward(f"{HERE}?done=decided")
    except Invalid as refusal:
        return await _show(
            request, units, signed_in, data, errors={refusal.field or "amount": refusal.message}
        )
    return onward(f"{PATH}/proposals?done=proposed" if proposal else f"{HERE}?done=decided")


@get(f"{HERE}/{{payment_id:uuid}}", include_in_schema=False)
async def before_undoing(
    request: AnyRequest,
    payment_id: FromPath[UUID],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Ask why a payment is to be undone."""
    return await _before(request, units, signed_in, payment_id, Undone())


@post(f"{HERE}/{{payment_id:uuid}}", include_in_schema=False)
async def undo(
    request: AnyRequest,
    payment_id: FromPath[UUID],
    data: URLEncodedBody[Undone],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Undo a payment by the opposite entry."""
    try:
        async with units.open() as work:
            proposal = await acts.decide(
                work, UndoVat(payment_id=payment_id), by=signed_in.account_id, reason=data.reason
            )
    except Invalid as refusal:
        errors = {refusal.field or "reason": refusal.message}
        return await _before(request, units, signed_in, payment_id, data, errors)
    return onward(f"{PATH}/proposals?done=proposed" if proposal else f"{HERE}?done=decided")


async def _show(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    given: Paid,
    *,
    done: Done = "",
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        await admit_treasurer(work, viewer)
        owed = await vat_payments.owed(work)
        months = await vat_payments.months(work)
        payments = await vat_payments.latest(work)
    return page(
        "steward/vat.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        owed=owed,
        nothing=ZERO,
        months=months,
        payments=payments,
        given=given,
        done=done,
        errors=told(request, errors or {}),
    )


async def _before(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    payment_id: UUID,
    given: Undone,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        await admit_treasurer(work, viewer)
        payment = await vat_payments.get(work, payment_id)
    return page(
        "steward/vat_undo.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        payment=payment,
        given=given,
        errors=told(request, errors or {}),
    )


routes = [overview, record, before_undoing, undo]
