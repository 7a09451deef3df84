"""Joining, step two: choose what to pay, and come back from the payment page."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.home import parts
from api.pages.rendering import page
from api.security import local_path
from coop import policies
from coop.billing import checkout, intents
from coop.billing.gateway import Gateway, GatewayAway, NotVisible
from coop.billing.instalment_plans import InstalmentsNeedEmail, InstalmentsUnpaid
from coop.billing.intents import AutomaticNeedsEmail, Checkout, PaymentUnderWay, Wish
from coop.billing.offline import transfers
from coop.billing.offline.transfers import Transfer
from coop.billing.operations import InFlight
from coop.clock import local_date
from coop.errors import Invalid
from coop.governance import motions
from coop.membership import organisations, standing, terms
from coop.membership.organisations import Organisation
from coop.membership.standing import Standing
from coop.money import ZERO, Money
from coop.policies import Dues, Shares, Version
from coop.settings import Settings
from coop.sponsorship import limits, places
from coop.sponsorship.limits import AlreadyMember, EmailNeeded
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units

HOSTED = "https://checkout.stripe.com"

UNFIT = (AutomaticNeedsEmail, InstalmentsNeedEmail, InstalmentsUnpaid, PaymentUnderWay)
"""Refusals of the way of paying, not of the amount; they stand beside it."""

Typed = Annotated[str, msgspec.Meta(max_length=100)]
Path = Annotated[str, msgspec.Meta(max_length=8000)]


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """What the form sends; amounts as a person writes them."""

    amount: Typed = ""
    other: Typed = ""
    renewal: Literal["manual", "automatic", "instalments", "transfer"] = "manual"
    key: Typed = ""
    next: Path = ""


@dataclass(frozen=True, slots=True)
class Division:
    """What paying by instalments means, in figures for one amount, before anybody chooses it."""

    amount: Money
    count: int
    months: int
    """Between one charge and the next."""
    each: Money
    total: Money
    fees: Money
    """The card fees on all charges …"""
    fee: Money
    """… and the one on the amount at once."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the page tells before anybody chooses."""

    dues: Version[Dues]
    shares: Version[Shares]
    standing: Standing
    place: Place | None
    organisation: Organisation | None
    """What the account stands for, if not for a person."""
    payable: bool
    """This account may pay for a year today."""
    ends: datetime | None


@get("/join", include_in_schema=False)
async def form(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    next: FromQuery[str] = "",  # noqa: A002 - the name of the query parameter
) -> Response[bytes]:
    """Ask what to pay; whoever has no account yet makes one first."""
    next_path = local_path(next)
    if viewer is None:
        return onward(f"/sign-up?next={quote(next_path, safe='')}")
    if next_path.startswith("/gift/"):
        # Whoever brings a gift has nothing to choose: it is paid.
        return onward(next_path)
    return await _ask(request, units, viewer, Choice(next=next_path))


@post("/join", include_in_schema=False)
async def submit(
    request: AnyRequest,
    data: URLEncodedBody[Choice],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Lead to the payment page, or give a place, at once or in the queue."""
    next_path = local_path(data.next)
    try:
        amount = chosen(units.settings, data.amount, data.other)
        if amount and data.renewal == "transfer":
            transfer = await announce(units, gateway, signed_in, amount, "dues")
            return onward("/place" if transfer is None else "/account/transfer")
        if amount:
            wish = Wish(
                account_id=signed_in.account_id,
                amount=amount,
                automatic=data.renewal == "automatic",
                instalments=data.renewal == "instalments",
                next_path=next_path,
            )
            leads_to = await checkout.begin(units, gateway, wish, key=data.key)
            return onward(leads_to)
        place = await checkout.ask(units, gateway, signed_in.account_id)
    except AlreadyMember:
        return onward(next_path)
    except InFlight as refusal:
        return waiting(request, refusal, data.key)
    except (Invalid, EmailNeeded, GatewayAway, *UNFIT) as refusal:
        fault = {refusal.field or "": refusal.message}
        return await _ask(
            request, units, signed_in, data, fault, unconfirmed=isinstance(refusal, EmailNeeded)
        )
    return onward(next_path if place.state == "begun" else "/place")


async def announce(
    units: Units, gateway: Gateway, viewer: Viewer, amount: Money, purpose: transfers.Purpose
) -> Transfer | None:
    """Announce a bank transfer, having closed the payment page that the same person may have open for the same."""
    async with units.read() as work:
        other = await intents.live(work, viewer.account_id)
    if other is not None and other.purpose == purpose:
        await checkout.close(units, gateway, other)
    async with units.open() as work:
        await places.lock(work)
        other = await intents.live(work, viewer.account_id)
        if other is not None and other.purpose == purpose:
            # Its page is complete, and the bank has yet to pay.
            raise PaymentUnderWay
        return await transfers.announce(work, viewer.account_id, amount, purpose=purpose)


@get("/join/return", include_in_schema=False)
async def came_back(
    request: AnyRequest,
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Do what a lost webhook would have done, and lead on."""
    raw = request.query_params.get("checkout", "")
    async with units.read() as work:
        if "key" in request.query_params:
            return onward(await _under_way(work, signed_in.account_id))
        visit = await _visit(work, signed_in.account_id, raw)
    if visit is None:
        return onward("/account")
    if "stopped" in request.query_params:
        return onward(_start(visit))
    away = False
    if visit.state != "paid" and visit.gateway_id is not None:
        try:
            await checkout.settle(units, gateway, await gateway.fetch_checkout(visit.gateway_id))
        except (GatewayAway, NotVisible):
            away = True
        async with units.read() as work:
            visit = await _visit(work, signed_in.account_id, raw) or visit
    if visit.state == "paid" and visit.next_path != "/account":
        return onward(visit.next_path)
    async with units.read() as work:
        stands = await standing.of(work, signed_in.account_id)
    return page(
        "join/return.html",
        request,
        # Looked at again until the bank has answered; nothing on this page needs a script.
        headers={} if visit.state == "paid" else {"Refresh": "5"},
        checkout=visit,
        standing=stands,
        start=_start(visit),
        away=away,
    )


def _start(visit: Checkout) -> str:
    path = {"dues": "/join", "household": "/account/household", "sponsor": "/sponsor", "gift": "/gifts"}[
        visit.purpose
    ]
    return f"{path}?next={quote(visit.next_path, safe='')}" if visit.purpose == "dues" else path


async def _visit(work: UnitOfWork, account_id: UUID, raw: str) -> Checkout | None:
    try:
        found = await work.session.get(Checkout, UUID(raw))
    except ValueError:
        return None
    # Somebody else's checkout is nobody's.
    return found if found is not None and found.account_id == account_id else None


async def _under_way(work: UnitOfWork, account_id: UUID) -> str:
    """Return where a second click leads: to the payment page that the first one opened."""
    found = await intents.live(work, account_id)
    return found.url if found is not None and found.url is not None else "/join"


def waiting(request: AnyRequest, refusal: InFlight, key: str) -> Response[bytes]:
    """Tell whoever clicked twice that the first click is being worked on, and lead on by itself."""
    return page(
        "join/waiting.html",
        request,
        status=HTTPStatus.CONFLICT,
        headers={
            "Retry-After": str(refusal.retry_after),
            "Refresh": f"{refusal.retry_after}; url=/join/return?key={quote(key, safe='')}",
        },
        onward=f"/join/return?key={quote(key, safe='')}",
    )


def chosen(settings: Settings, amount: str, other: str) -> Money:
    """Return the amount that was chosen or typed; with another amount typed and nothing chosen, that counts."""
    text = other if amount == "other" or not amount else amount
    field = "other" if text is other else "amount"
    if not text.strip():
        raise Invalid("Choose what to pay, or type another amount.", field="amount")
    return settings.money.parse(text, field=field)


def hosted(settings: Settings) -> tuple[str, ...]:
    """Return the origins to which a paying form may lead by redirect."""
    parts = urlsplit(settings.stripe_api_base)
    return HOSTED, f"{parts.scheme}://{parts.netloc}"


def fresh_key() -> str:
    """Return a random idempotency key for one rendering of a form."""
    return secrets.token_urlsafe(24)


async def _offer(work: UnitOfWork, account_id: UUID) -> Offer:
    payable = True
    try:
        await limits.may_renew(work, account_id)
    except AlreadyMember:
        payable = False
    latest = await terms.latest(work, account_id)
    return Offer(
        dues=await policies.in_force(work, Dues),
        shares=await policies.in_force(work, Shares),
        standing=await standing.of(work, account_id),
        place=await places.open_place(work, account_id),
        organisation=await organisations.of(work, account_id),
        payable=payable,
        ends=None if latest is None else latest.ends,
    )


def _division(offer: Offer, amount: Money) -> Division | None:
    dues, shares = offer.dues.document, offer.shares.document
    each = dues.instalment(amount.minor)
    if not each:
        return None
    return Division(
        amount=amount,
        count=dues.instalments,
        months=12 // dues.instalments,
        each=Money(each),
        total=Money(each * dues.instalments),
        fees=Money(shares.fee(each) * dues.instalments),
        fee=Money(shares.fee(amount.minor)),
    )


async def _ask(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    given: Choice,
    errors: dict[str, str] | None = None,
    *,
    unconfirmed: bool = False,
) -> Response[bytes]:
    async with units.read() as work:
        offer = await _offer(work, viewer.account_id)
        source = await motions.title_of_act(work, offer.dues.act)
        vat_rate = work.settings.vat_rate(local_date(work.now, work.settings.zone))
    plain = units.settings.money.plain
    price = Money(offer.dues.document.price)
    kept = offer.place.contribution if offer.place is not None and offer.place.state == "offered" else None
    presets = sorted(
        {Money(amount) for amount in offer.dues.document.suggested} | {price} | ({kept} if kept else set())
    )
    suggested = [amount for amount in presets if amount >= Money(offer.dues.document.minimum_card)]
    if offer.organisation is not None:
        least = max(Money(offer.dues.document.organisation), price)
        suggested = [least, 2 * least, 4 * least]
    value = given.amount or plain(kept or (price if offer.organisation is None else suggested[0]))
    return page(
        "join/pay.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        form_targets=hosted(units.settings),
        offer=offer,
        source=source,
        price=price,
        kept=kept,
        presets=[(plain(amount), amount) for amount in suggested],
        value=value if value in {plain(amount) for amount in suggested} | {"0", "other"} else "other",
        other=given.other or ("" if value in {plain(a) for a in suggested} | {"0", "other"} else value),
        least=Money(offer.dues.document.minimum_card),
        organisations=bool(offer.dues.document.organisation),
        parts=parts(price, offer.shares.document, vat_rate),
        division=_division(offer, price if offer.organisation is None else suggested[0]),
        renewal=given.renewal,
        key=fresh_key(),
        next_path=local_path(given.next),
        unconfirmed=unconfirmed,
        nothing=ZERO,
        errors=told(request, errors or {}),
    )


routes = [form, submit, came_back]
