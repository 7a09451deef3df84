"""Who may enter a console, and what its pages share."""

from typing import Annotated

import msgspec

from api.dependencies import Viewer
from coop.networks import admins, networks
from coop.networks.networks import Network
from coop.unit_of_work import UnitOfWork, Units

PATH = "/networks/{slug:str}/console"

Typed = Annotated[str, msgspec.Meta(max_length=2000)]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form that is no more than its button."""


def at(slug: str, *below: object) -> str:
    """Return the path of a console, or of a page below it."""
    return "/".join(["/networks", slug, "console", *map(str, below)])


async def look(units: Units, viewer: Viewer, slug: str) -> Network:
    """Return the network for a page that shows its console; an admin of the cooperative leaves a trace."""
    async with units.read() as work:
        network, own = await _admitted(work, viewer, slug)
    if not own:
        async with units.open() as work:
            await admins.note_look(work, network, viewer.account_id)
    return network


async def act(work: UnitOfWork, viewer: Viewer, slug: str) -> Network:
    """Return the network for an act within `work`, which writes."""
    network, _ = await _admitted(work, viewer, slug)
    return network


async def _admitted(work: UnitOfWork, viewer: Viewer, slug: str) -> tuple[Network, bool]:
    network = await networks.by_slug(work, slug)
    return network, await admins.require(work, network.id, viewer.account_id) == "network"
