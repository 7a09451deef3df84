"""Money on the desk: credits nobody recognised, what has to be sent by hand, refunds, disputes, differences."""

from http import HTTPStatus
from typing import Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.rendering import page
from api.pages.steward.access import PATH, Nothing, Typed, admit_treasurer
from coop.billing.desk import acts, waiting
from coop.billing.desk.acts import Act, Assign, GiveToPool, SendBack, SetAside, SettleDispute
from coop.billing.offline import transactions
from coop.billing.reconciliation import differences
from coop.errors import Invalid
from coop.identity import accounts
from coop.money import ZERO
from coop.unit_of_work import UnitOfWork, Units

HERE = f"{PATH}/payments"
Done = Literal["", "decided", "proposed"]


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What a treasurer decides about a credit, and why."""

    what: Typed = ""
    handle: Typed = ""
    reason: Typed = ""


class Settled(msgspec.Struct, forbid_unknown_fields=True):
    """What came back of a lost dispute, and why it is settled."""

    dispute: Typed = ""
    received: Typed = ""
    reason: Typed = ""


class Why(msgspec.Struct, forbid_unknown_fields=True):
    """The reason for settling a difference as it was suggested."""

    reason: Typed = ""


@get(HERE, include_in_schema=False)
async def unmatched(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    done: FromQuery[Done] = "",
) -> Response[bytes]:
    """List the credits that nobody recognised."""
    async with units.read() as work:
        await admit_treasurer(work, signed_in)
        found = await transactions.unmatched(work)
    return page("steward/payments.html", request, transactions=found, done=done)


@get(f"{HERE}/{{transaction_id:uuid}}", include_in_schema=False)
async def one(
    request: AnyRequest,
    transaction_id: FromPath[UUID],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Show one credit, and ask what it is."""
    return await _one(request, units, signed_in, transaction_id, Decision())


@post(f"{HERE}/{{transaction_id:uuid}}", include_in_schema=False)
async def decide(
    request: AnyRequest,
    transaction_id: FromPath[UUID],
    data: URLEncodedBody[Decision],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Decide about one credit."""
    try:
        async with units.open() as work:
            act = await _meant(work, transaction_id, data)
            proposal = await acts.decide(work, act, by=signed_in.account_id, reason=data.reason)
    except (Invalid, waiting.NobodyOfThatName) as refusal:
        errors = {refusal.field or "": refusal.message}
        return await _one(request, units, signed_in, transaction_id, data, errors)
    return onward(f"{PATH}/proposals?done=proposed" if proposal else f"{HERE}?done=decided")


@get(f"{PATH}/sending", include_in_schema=False)
async def sending(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """List what has to be sent by hand."""
    async with units.read() as work:
        await admit_treasurer(work, signed_in)
        found = await waiting.to_send(work)
    return page("steward/sending.html", request, sending=found)


@post(f"{PATH}/sending/{{kind:str}}/{{item_id:uuid}}", include_in_schema=False)
async def sent(
    kind: FromPath[str],
    item_id: FromPath[UUID],
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Note that it has been sent, or handed over."""
    del data
    verb = acts.paid_out if kind == "refund" else acts.sent
    async with units.open() as work:
        await verb(work, item_id, by=signed_in.account_id)
    return onward(f"{PATH}/sending")


@get(f"{PATH}/refunds", include_in_schema=False)
async def refunds(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    done: FromQuery[Done] = "",
) -> Response[bytes]:
    """List refunds to cards that are on their way, or that came back."""
    async with units.read() as work:
        await admit_treasurer(work, signed_in)
        found = await waiting.refunds(work)
    return page("steward/refunds.html", request, refunds=found, done=done)


@get(f"{PATH}/disputes", include_in_schema=False)
async def disputes(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    done: FromQuery[Done] = "",
) -> Response[bytes]:
    """List disputes that are open, or lost and not settled."""
    return await _disputes(request, units, signed_in, Settled(), done=done)


@post(f"{PATH}/disputes", include_in_schema=False)
async def settle(
    request: AnyRequest,
    data: URLEncodedBody[Settled],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Settle a lost dispute, so that its member may begin another year."""
    try:
        received = units.settings.money.parse(data.received, field="received") if data.received else ZERO
        act = SettleDispute(dispute_id=data.dispute, received=received.minor)
        async with units.open() as work:
            proposal = await acts.decide(work, act, by=signed_in.account_id, reason=data.reason)
    except Invalid as refusal:
        errors = {refusal.field or "received": refusal.message}
        return await _disputes(request, units, signed_in, data, errors=errors)
    return onward(f"{PATH}/proposals?done=proposed" if proposal else f"{PATH}/disputes?done=decided")


@get(f"{PATH}/differences", include_in_schema=False)
async def apart(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """List where Stripe and the books differ, with the entry that would settle it."""
    async with units.read() as work:
        await admit_treasurer(work, signed_in)
        found = await differences.listed(work)
    return page(
        "steward/differences.html",
        request,
        differences=found,
        kinds=differences.KINDS,
    )


@post(f"{PATH}/differences/{{difference_id:uuid}}", include_in_schema=False)
async def propose(
    difference_id: FromPath[UUID],
    data: URLEncodedBody[Why],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Propose to settle a difference as it was suggested; a second treasurer approves."""
    async with units.open() as work:
        await differences.propose(work, difference_id, signed_in.account_id, reason=data.reason)
    return onward(f"{PATH}/proposals?done=proposed")


async def _meant(work: UnitOfWork, transaction_id: UUID, data: Decision) -> Act:
    match data.what:
        case "dues" | "household" | "sponsor" | "gift":
            account = await accounts.by_handle(work, data.handle.strip())
            if account is None:
                raise waiting.NobodyOfThatName(field="handle")
            return Assign(transaction_id=transaction_id, account_id=account.id, purpose=data.what)
        case "pool":
            return GiveToPool(transaction_id=transaction_id)
        case "back":
            return SendBack(transaction_id=transaction_id)
        case "aside":
            return SetAside(transaction_id=transaction_id)
        case _:
            raise Invalid("Choose what this payment is.", field="what")


async def _one(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    transaction_id: UUID,
    given: Decision,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        await admit_treasurer(work, viewer)
        found = await transactions.get(work, transaction_id)
    return page(
        "steward/payment.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        transaction=found,
        two=found.amount.minor > units.settings.two_people_above,
        given=given,
        errors=told(request, errors or {}),
    )


async def _disputes(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    given: Settled,
    *,
    done: Done = "",
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        await admit_treasurer(work, viewer)
        found = await waiting.disputes(work)
    return page(
        "steward/disputes.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        disputes=found,
        given=given,
        done=done,
        errors=told(request, errors or {}),
    )


routes = [unmatched, one, decide, sending, sent, refunds, disputes, settle, apart, propose]
