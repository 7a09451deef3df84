"""The first page: what this is, what a year costs and by whose decision, and where each year's money goes."""

from urllib.parse import urlsplit

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from api.dependencies import Viewer
from api.pages.languages import marked
from api.pages.rendering import page
from coop import policies
from coop.clock import local_date
from coop.governance import motions
from coop.money import Money, apportion, vat_within
from coop.networks import networks
from coop.policies import Dues, Shares
from coop.sponsorship import outlook
from coop.unit_of_work import Units

PARTS = {"networks": marked("Networks"), "operations": marked("Operations"), "reserve": marked("Reserve")}


def parts(price: Money, shares: Shares, vat_rate: int) -> list[tuple[str, Money]]:
    """Return where the price of a year goes: the shares of what it is without VAT, and the VAT."""
    vat = vat_within(price, vat_rate)
    split = apportion(price - vat, {part: getattr(shares, part) for part in PARTS})
    named = [(name, split[part]) for part, name in PARTS.items()]
    return [*named, (marked("VAT"), vat)] if vat else named


@get("/", include_in_schema=False)
async def home(
    request: Request[object, object, State],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Show the first page, every figure of it from the law in force and the books."""
    del viewer
    async with units.read() as work:
        dues = await policies.in_force(work, Dues)
        shares = await policies.in_force(work, Shares)
        source = await motions.title_of_act(work, dues.act)
        deciding = await motions.listed(work, "open", limit=5)
        pool = (await outlook.figures(work)).free
        directory = await networks.directory(work)
        vat_rate = work.settings.vat_rate(local_date(work.now, work.settings.zone))
    price = Money(dues.document.price)
    return page(
        "home/home.html",
        request,
        price=price,
        pool=pool,
        years=pool.minor // price.minor,
        dues=dues,
        source=source,
        motions=deciding,
        parts=parts(price, shares.document, vat_rate),
        networks=[
            {"name": network.name, "origin": network.origin, "host": urlsplit(network.origin).netloc}
            for network in directory
        ],
    )


routes = [home]
