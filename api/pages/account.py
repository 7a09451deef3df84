"""A member's own first page: what needs them now, their standing, their networks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from api.dependencies import Viewer
from api.pages.rendering import page
from coop import policies
from coop.billing import subscriptions
from coop.billing.desk.waiting import MAY_LOOK
from coop.governance import roll
from coop.identity import accounts, recovery
from coop.leaving import erasures
from coop.membership import organisations, standing, terms
from coop.membership.standing import Standing
from coop.money import Money
from coop.networks import admins, aliases, links
from coop.policies import Dues
from coop.sponsorship import gifts, places
from coop.stewardship import roles
from coop.unit_of_work import UnitOfWork, Units

SOON = timedelta(days=30)
"""How long before its end a year begins to need its member, as with the first notice."""


@dataclass(frozen=True, slots=True)
class Use:
    """A network that the member uses, and who they are there."""

    name: str
    origin: str
    host: str
    alias: str | None


@get("/account", include_in_schema=False)
async def account(
    request: Request[object, object, State], units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Show where the member stands; to nobody but themselves."""
    async with units.read() as work:
        known = await accounts.get(work, signed_in.account_id)
        stands = await standing.of(work, signed_in.account_id)
        term = await terms.latest(work, signed_in.account_id)
        dues = await policies.in_force(work, Dues)
        place = await places.open_place(work, signed_in.account_id)
        gift = await gifts.waits_for(work, signed_in.account_id)
        votes = await roll.awaiting(work, signed_in.account_id)
        uses = await _uses(work, signed_in)
        administers = await admins.networks_of(work, signed_in.account_id)
        held = await roles.held(work, signed_in.account_id)
        locked_out = await recovery.lacking(work, known)
        erasure = await erasures.of(work, signed_in.account_id)
        organisation = await organisations.of(work, signed_in.account_id)
        renews = await subscriptions.renewing(work, signed_in.account_id)
        now = work.now
    return page(
        "account/home.html",
        request,
        email=known.email,
        erasure=erasure,
        organisation=organisation,
        standing=stands,
        year=term,
        price=Money(dues.document.price),
        # What renews by itself was announced by a letter, and needs nobody.
        ending=_ending(stands, now) and renews is None,
        no_way_back=locked_out,
        place=place,
        gift=gift,
        votes=votes,
        networks=uses,
        administers=administers,
        steward=not set(MAY_LOOK).isdisjoint(held),
    )


def _ending(stands: Standing, now: datetime) -> bool:
    """Tell whether the year's end is near enough to be spoken of, and nothing follows it yet."""
    return (
        stands.state == "active"
        and not stands.renewed
        and stands.ends is not None
        and stands.ends - now <= SOON
    )


async def _uses(work: UnitOfWork, viewer: Viewer) -> list[Use]:
    found = []
    for network, _ in await links.networks_of(work, viewer.account_id):
        alias = await aliases.of(work, network.id, viewer.account_id)
        found.append(
            Use(
                name=network.name,
                origin=network.origin,
                host=urlsplit(network.origin).netloc,
                alias=alias.alias if alias else None,
            )
        )
    return found


routes = [account]
