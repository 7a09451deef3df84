"""Households: who is in one's own, invitations to print or send, paying for all at once, and leaving."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.pay import announce, chosen, fresh_key, hosted, waiting
from api.pages.rendering import page
from coop import policies
from coop.billing import checkout, household_dues, household_endings
from coop.billing.gateway import Gateway, GatewayAway
from coop.billing.household_dues import NobodyToPayFor
from coop.billing.intents import Wish
from coop.billing.offline import transfers
from coop.billing.operations import InFlight
from coop.errors import Invalid
from coop.membership import households
from coop.membership.households import Household, Person
from coop.money import Money
from coop.policies import Dues
from coop.settings import Settings
from coop.sponsorship.together import PoolShort
from coop.unit_of_work import Units

Typed = Annotated[str, msgspec.Meta(max_length=100)]
HERE = "/account/household"


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """What the buttons of the page send; `id` names an invitation or a person."""

    what: Literal["invite", "take_back", "remove", "leave"]
    id: UUID | None = None


class Amount(msgspec.Struct, forbid_unknown_fields=True):
    """What the paying form sends: an amount for each year."""

    amount: Typed = ""
    other: Typed = ""
    way: Literal["card", "transfer"] = "card"
    key: Typed = ""


class GivingBack(msgspec.Struct, forbid_unknown_fields=True):
    """Which of the years one paid for to give back; all of them if none is named."""

    key: Typed
    id: UUID | None = None


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form with nothing but its button."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as its sender sees it."""

    id: UUID
    link: str


@get(HERE, include_in_schema=False)
async def overview(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    done: FromQuery[Literal["", "withdrawn"]] = "",
) -> Response[bytes]:
    """Show one's household to each of its people: the payer a little more than the others."""
    return await _show(request, units, signed_in, done=done)


@post(HERE, include_in_schema=False)
async def change(
    request: AnyRequest,
    data: URLEncodedBody[Change],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Invite, take an invitation back, remove somebody, or leave."""
    try:
        async with units.open() as work:
            match data.what:
                case "invite":
                    await households.invite(work, signed_in.account_id)
                case "leave":
                    await households.leave(work, signed_in.account_id)
                case "take_back" if data.id is not None:
                    await households.take_back(work, signed_in.account_id, data.id)
                case "remove" if data.id is not None:
                    await households.remove(work, signed_in.account_id, data.id)
                case _:
                    raise Invalid("Choose who or what it is about.")
    except households.HouseholdFull as refusal:
        return await _show(request, units, signed_in, errors={"": refusal.message})
    return onward(HERE)


@get(f"{HERE}/pay", include_in_schema=False)
async def form(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Ask what to pay for each year."""
    return await _ask(request, units, signed_in, Amount())


@post(f"{HERE}/pay", include_in_schema=False)
async def pay(
    request: AnyRequest,
    data: URLEncodedBody[Amount],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Lead to the payment page or to where a transfer is to be sent, with the pool's part of all the years kept."""
    try:
        each = chosen(units.settings, data.amount, data.other)
        if data.way == "transfer":
            await announce(units, gateway, signed_in, each, "household")
            return onward("/account/transfer")
        wish = Wish(account_id=signed_in.account_id, amount=each, purpose="household", next_path=HERE)
        return onward(await checkout.begin(units, gateway, wish, key=data.key))
    except NobodyToPayFor:
        return onward(HERE)
    except InFlight as refusal:
        return waiting(request, refusal, data.key)
    except (Invalid, GatewayAway) as refusal:
        return await _ask(request, units, signed_in, data, {refusal.field or "": refusal.message})
    except PoolShort as refusal:
        return await _ask(request, units, signed_in, data, {"amount": refusal.message})


@post(f"{HERE}/withdraw", include_in_schema=False)
async def withdraw(
    data: URLEncodedBody[GivingBack],
    units: NamedDependency[Units],
    gateway: NamedDependency[Gateway],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Give years back that one paid for: one of them, or all."""
    return onward(
        await household_endings.withdraw(
            units, gateway, payer_id=signed_in.account_id, year_id=data.id, key=data.key
        )
    )


@get("/household/{secret:str}", include_in_schema=False)
async def invited(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    secret: FromPath[str],
) -> Response[bytes]:
    """Say who invites and what the others would see; joining is one press more, since programs fetch links."""
    async with units.read() as work:
        _, payer = await households.find(work, secret[:100])
        present = None if viewer is None else await households.of(work, viewer.account_id)
    return page(
        "household/invited.html",
        request,
        payer=payer.handle,
        elsewhere=present is not None,
        here=f"/household/{quote(secret, safe='')}",
    )


@post("/household/{secret:str}", include_in_schema=False)
async def accept(
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    secret: FromPath[str],
) -> Response[bytes]:
    """Join."""
    del data
    async with units.open() as work:
        await households.accept(work, signed_in.account_id, secret[:100])
    return onward(HERE)


async def _show(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    *,
    done: str = "",
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        household = await households.of(work, viewer.account_id)
        people: list[Person] = [] if household is None else await households.people(work, household)
        pays = household is not None and household.payer_id == viewer.account_id
        waiting_links = await households.invitations(work, household) if household and pays else []
        needing = set(await household_dues.payable(work, viewer.account_id)) if pays else set()
        most = await households.most(work)
        transfer = await transfers.current(work, viewer.account_id, "household") if pays else None
        returnable = await household_endings.returnable(work, viewer.account_id)
    return page(
        "household/household.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        household=household,
        people=people,
        pays=pays,
        payer=next((person.handle for person in people if person.pays), ""),
        invitations=[Invitation(one.id, _link(units.settings, one.id)) for one in waiting_links],
        needing=needing,
        announced=[transfer] if transfer else [],
        most=most,
        room=most - len(people) - len(waiting_links),
        returnable=returnable,
        done=done,
        key=fresh_key(),
        errors=told(request, errors or {}),
    )


async def _ask(
    request: AnyRequest, units: Units, viewer: Viewer, given: Amount, errors: dict[str, str] | None = None
) -> Response[bytes]:
    async with units.read() as work:
        accounts = await household_dues.payable(work, viewer.account_id)
        household: Household | None = await households.of(work, viewer.account_id)
        people = [] if household is None else await households.people(work, household)
        dues = (await policies.in_force(work, Dues)).document
    if not accounts:
        return onward(HERE)
    plain, price = units.settings.money.plain, Money(dues.price)
    offered = sorted({Money(amount) for amount in dues.suggested if amount >= dues.minimum_card} | {price})
    value = given.amount or plain(price)
    known = {plain(amount) for amount in offered}
    return page(
        "household/pay.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        form_targets=hosted(units.settings),
        people=[person.handle for person in people if person.account_id in set(accounts)],
        price=price,
        presets=[(plain(amount), amount, len(accounts) * amount) for amount in offered],
        value=value if value in known else "other",
        other=given.other or ("" if value in known | {"other"} else value),
        way=given.way,
        days=dues.withdrawal_days,
        key=fresh_key(),
        errors=told(request, errors or {}),
    )


def _link(settings: Settings, invitation_id: UUID) -> str:
    return settings.url(f"/household/{households.code(settings, invitation_id)}")


routes = [overview, change, form, pay, withdraw, invited, accept]
