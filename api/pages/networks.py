"""The directory of networks that an account opens."""

from urllib.parse import urlsplit

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from api.dependencies import Viewer
from api.pages.rendering import page
from coop.networks import covenant, networks
from coop.unit_of_work import Units


@get("/networks", include_in_schema=False)
async def directory(
    request: Request[object, object, State],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """List every network that people can join."""
    del viewer
    async with units.read() as work:
        found = await networks.directory(work)
        signed = await covenant.signed(work, [network.id for network in found])
    return page(
        "networks/directory.html",
        request,
        networks=[
            {
                "name": network.name,
                "origin": network.origin,
                "host": urlsplit(network.origin).netloc,
                "since": network.created_at,
                "version": signed.get(network.id),
            }
            for network in found
        ],
    )


routes = [directory]
