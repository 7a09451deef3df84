"""Paying by bank transfer: where to send the money, under which reference, and until when."""

import re
from decimal import Decimal
from http import HTTPStatus

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward, told
from api.pages.pay import Typed
from api.pages.rendering import page
from coop.billing import household_dues
from coop.billing.offline import references, transfers
from coop.billing.offline.transfers import NoBankAccount, NoSuchTransfer, Transfer
from coop.errors import Invalid
from coop.settings import Settings
from coop.unit_of_work import Units

PATH = "/account/transfer"
_BEGUN_AT: dict[str, str] = {
    "dues": "/join",
    "household": "/account/household",
    "sponsor": "/sponsor",
    "gift": "/gifts",
}
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)


class Given(msgspec.Struct, forbid_unknown_fields=True):
    """What the form of a gift by transfer sends."""

    amount: Typed = ""


class Withdrawn(msgspec.Struct, forbid_unknown_fields=True):
    """Which announcement to take back."""

    purpose: transfers.Purpose = "dues"


@get(PATH, include_in_schema=False)
async def announced(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Show the transfers that somebody has announced, ready to be copied."""
    async with units.read() as work:
        mine = await transfers.announced(work, signed_in.account_id)
        people = {
            transfer.id: await household_dues.handles(work, transfer.id)
            for transfer in mine
            if transfer.purpose == "household"
        }
    if not mine:
        return onward("/account/payments")
    return page(
        "payments/transfer.html",
        request,
        transfers=mine,
        people=people,
        spaced=references.spaced,
        code=lambda transfer: code(units.settings, transfer),
    )


@post(f"{PATH}/withdraw", include_in_schema=False)
async def withdraw(
    data: URLEncodedBody[Withdrawn],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Take an announcement back."""
    async with units.open() as work:
        if not await transfers.withdraw(work, signed_in.account_id, data.purpose):
            raise NoSuchTransfer
    return onward(_BEGUN_AT[data.purpose])


@get("/sponsor/transfer", include_in_schema=False)
async def form(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Ask how much will be given to the pool by transfer."""
    del signed_in
    if not units.settings.bank_account:
        raise NoBankAccount
    return page("sponsor/transfer.html", request, amount="", errors={})


@post("/sponsor/transfer", include_in_schema=False)
async def give(
    request: AnyRequest,
    data: URLEncodedBody[Given],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Give a reference for a gift to the pool."""
    try:
        amount = units.settings.money.parse(data.amount)
        async with units.open() as work:
            await transfers.announce(work, signed_in.account_id, amount, purpose="sponsor")
    except Invalid as refusal:
        errors = told(request, {refusal.field or "": refusal.message})
        return page(
            "sponsor/transfer.html",
            request,
            status=HTTPStatus.BAD_REQUEST,
            amount=data.amount,
            errors=errors,
        )
    return onward(PATH)


def code(settings: Settings, transfer: Transfer) -> str | None:
    """Return the QR code that banking apps of the euro area read, as SVG; nothing where there is no such thing."""
    iban = settings.bank_account.replace(" ", "").upper()
    if settings.currency != "eur" or not _IBAN.fullmatch(iban):
        return None
    # Imported here: few pages draw one.
    from segno import helpers  # noqa: PLC0415

    drawn = helpers.make_epc_qr(
        name=(settings.bank_holder or settings.name)[:70],
        iban=iban,
        amount=Decimal(settings.money.plain(transfer.amount)),
        reference=transfer.reference,
    )
    return str(drawn.svg_inline(scale=4, border=2, dark="#000", light="#fff", omitsize=True))


routes = [announced, withdraw, form, give]
