"""Where a visitor is going: the network that sent them here, and the origins to which a form may lead in the end."""

from collections.abc import Awaitable, Callable

import msgspec

from api.dependencies import AnyRequest
from coop.unit_of_work import UnitOfWork, Units

AUTHORIZE = "/oauth/authorize?"


class Destination(msgspec.Struct, frozen=True):
    """Who asked for this person to sign in, as shown on the page, and where the browser will be sent back to."""

    name: str
    form_targets: tuple[str, ...] = ()


Lookup = Callable[[UnitOfWork, str], Awaitable[Destination | None]]
"""Finds the network behind the path of an authorization request; the composition root puts one in the state."""


async def destination(request: AnyRequest, next_path: str) -> Destination | None:
    """Return the network to which `next_path` leads, if it is an authorization request of a known one."""
    lookup: Lookup | None = request.app.state.get("destination")
    if lookup is None or not next_path.startswith(AUTHORIZE):
        return None
    units: Units = request.app.state.units
    async with units.read() as work:
        return await lookup(work, next_path)
