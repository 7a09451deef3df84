"""The directory of networks that an account opens."""

from urllib.parse import urlsplit

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from api.dependencies import Viewer
from api.pages.rendering import page
from coop.networks import covenant, networks
from coop.stewardship import roles
from coop.unit_of_work import Units


@get("/networks", include_in_schema=False)
async def directory(
    request: Request[object, object, State],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """List every network that people can join."""
    async with units.read() as work:
        may_add = viewer is not None and "admin" in await roles.held(work, viewer.account_id)
        found = await networks.directory(work)
        signed = await covenant.signed(work, [network.id for network in found])
    return page(
        "networks/directory.html",
        request,
        may_add=may_add,
        networks=[
            {
                "name": network.name,
                "slug": network.slug,
                "origin": network.origin,
                "host": urlsplit(network.origin).netloc,
                "since": network.created_at,
                "version": signed.get(network.id),
            }
            for network in found
        ],
    )


routes = [directory]
