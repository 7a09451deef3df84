"""One member's record, for a steward who has a reason to look; the look is logged, and the member reads it."""

from http import HTTPStatus
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.rendering import page
from api.pages.steward.access import PATH, Typed, admit, admit_treasurer
from coop.billing import payments
from coop.billing.desk import acts, waiting
from coop.billing.desk.acts import Cash, GiveBack
from coop.billing.offline.transfers import Purpose
from coop.errors import Invalid, NotFound, Refused
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.membership import standing
from coop.unit_of_work import Units

HERE = f"{PATH}/member"


class Look(msgspec.Struct, forbid_unknown_fields=True):
    """Whose record, and why."""

    handle: Typed = ""
    reason: Typed = ""


class Back(msgspec.Struct, forbid_unknown_fields=True):
    """What of a payment goes back, and why."""

    payment: Typed = ""
    handle: Typed = ""
    amount: Typed = ""
    reason: Typed = ""


class Till(msgspec.Struct, forbid_unknown_fields=True):
    """Cash that was received."""

    handle: Typed = ""
    amount: Typed = ""
    purpose: Purpose = "dues"
    reason: Typed = ""


@get(HERE, include_in_schema=False)
async def ask(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Ask whose record to open, and why."""
    async with units.read() as work:
        treasurer = await admit(work, signed_in)
    return page("steward/look.html", request, given=Look(), treasurer=treasurer, errors={})


@post(HERE, status_code=HTTPStatus.OK, include_in_schema=False)
async def look(
    request: AnyRequest,
    data: URLEncodedBody[Look],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Show one member's standing, and to a treasurer their payments; this once, since every look is a line in the log."""
    try:
        async with units.open() as work:
            account = await waiting.look_up(work, data.handle, by=signed_in.account_id, reason=data.reason)
    except (Invalid, NotFound) as refusal:
        async with units.read() as work:
            treasurer = await admit(work, signed_in)
        return page(
            "steward/look.html",
            request,
            status=HTTPStatus.BAD_REQUEST,
            given=data,
            treasurer=treasurer,
            errors=told(request, {refusal.field or "handle": refusal.message}),
        )
    return await _record(request, units, signed_in, account)


@post(f"{PATH}/refund", include_in_schema=False)
async def give_back(
    request: AnyRequest,
    data: URLEncodedBody[Back],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Give a payment back, in part or whole; a large sum waits for a second treasurer."""
    try:
        amount = units.settings.money.parse(data.amount)
        async with units.open() as work:
            act = GiveBack(payment_id=_id(data.payment), amount=amount.minor)
            proposal = await acts.decide(work, act, by=signed_in.account_id, reason=data.reason)
    except (Invalid, Refused) as refusal:
        async with units.open() as work:
            account = await waiting.look_up(
                work, data.handle, by=signed_in.account_id, reason=data.reason or "A refund that was refused"
            )
        errors = told(request, {refusal.field or "amount": refusal.message})
        return await _record(request, units, signed_in, account, given=data, errors=errors)
    return onward(f"{PATH}/proposals?done=proposed" if proposal else f"{PATH}/refunds?done=decided")


@get(f"{PATH}/cash", include_in_schema=False)
async def till(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Ask what was received in cash, from whom and for what."""
    async with units.read() as work:
        await admit_treasurer(work, signed_in)
    return page("steward/cash.html", request, given=Till(), errors={})


@post(f"{PATH}/cash", include_in_schema=False)
async def take(
    request: AnyRequest,
    data: URLEncodedBody[Till],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Propose to book cash; a second treasurer counts it and approves."""
    try:
        amount = units.settings.money.parse(data.amount)
        async with units.open() as work:
            account = await accounts.by_handle(work, data.handle.strip())
            if account is None:
                raise waiting.NobodyOfThatName(field="handle")
            act = Cash(account_id=account.id, amount=amount.minor, purpose=data.purpose)
            await acts.decide(work, act, by=signed_in.account_id, reason=data.reason)
    except (Invalid, NotFound) as refusal:
        errors = told(request, {refusal.field or "": refusal.message})
        return page("steward/cash.html", request, status=HTTPStatus.BAD_REQUEST, given=data, errors=errors)
    return onward(f"{PATH}/proposals?done=proposed")


async def _record(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    account: Account,
    *,
    given: Back | None = None,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        treasurer = await admit(work, viewer)
        stands = await standing.of(work, account.id)
        made = await payments.made_by(work, account.id) if treasurer else []
    return page(
        "steward/member.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        account=account,
        standing=stands,
        payments=made,
        treasurer=treasurer,
        given=given or Back(),
        plain=units.settings.money.plain,
        errors=errors or {},
    )


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid("Choose one of the payments.", field="payment") from error


routes = [ask, look, give_back, till, take]
