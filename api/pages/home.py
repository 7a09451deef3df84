"""The first page: what this is, what a year costs and by whose decision, and where each year's money goes."""

from urllib.parse import urlsplit

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from api.dependencies import Viewer
from api.pages.languages import marked
from api.pages.rendering import page
from coop import policies
from coop.governance import motions
from coop.money import Money, apportion
from coop.networks import networks
from coop.policies import Dues, Shares
from coop.sponsorship import outlook
from coop.unit_of_work import Units

PARTS = {"networks": marked("Networks"), "operations": marked("Operations"), "reserve": marked("Reserve")}


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
    price = Money(dues.document.price)
    split = apportion(price, {part: getattr(shares.document, part) for part in PARTS})
    return page(
        "home/home.html",
        request,
        price=price,
        pool=pool,
        years=pool.minor // price.minor,
        dues=dues,
        source=source,
        motions=deciding,
        parts=[(name, split[part]) for part, name in PARTS.items()],
        networks=[
            {"name": network.name, "origin": network.origin, "host": urlsplit(network.origin).netloc}
            for network in directory
        ],
    )


routes = [home]
