"""The console: what those who administer a network see of it and may change, each change in the audit log.

Counts only, and none below ten: who a network's members are here, and how they pay, is no business of its admins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from coop import fetching
from coop.authorization import redirects
from coop.authorization.clients import Client, NoClient
from coop.authorization.grants import Grant
from coop.errors import Invalid
from coop.networks import networks
from coop.networks.links import Link
from coop.networks.networks import Network
from coop.stewardship import audit
from coop.unit_of_work import UnitOfWork

SMALLEST = 10
"""Below this a count could be a person."""
RECENTLY = timedelta(days=7)
"""As far back as every sign-in is remembered (coop.authorization.expiry)."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a network is used; nothing where it is too little to say."""

    members: int | None
    signed_in: int | None
    """Members that signed in there within `RECENTLY`."""


async def counts(work: UnitOfWork, network_id: UUID) -> Counts:
    """Count a network's members and those who signed in of late."""
    members = await work.session.scalar(
        select(func.count()).where(Link.network_id == network_id, Link.ended_at.is_(None))
    )
    signed_in = await work.session.scalar(
        select(func.count(Grant.account_id.distinct()))
        .join(Client, Client.id == Grant.client_id)
        .where(
            Client.network_id == network_id,
            Grant.created_at > work.wall - RECENTLY,
            Grant.code_used_at.is_not(None),
        )
    )
    return Counts(_rounded(members or 0), _rounded(signed_in or 0))


async def clients_of(work: UnitOfWork, network_id: UUID) -> Sequence[Client]:
    """Return a network's clients, the first that was made at the top."""
    found = await work.session.scalars(
        select(Client).where(Client.network_id == network_id).order_by(Client.created_at, Client.id)
    )
    return found.all()


async def client_of(work: UnitOfWork, network: Network, client_id: UUID) -> Client:
    """Return one client of this very network."""
    client = await work.session.get(Client, client_id)
    if client is None or client.network_id != network.id:
        raise NoClient
    return client


async def readdress(
    work: UnitOfWork,
    network: Network,
    client: Client,
    *,
    redirect_uris: Sequence[str],
    post_logout_redirect_uris: Sequence[str],
    backchannel_logout_uri: str | None,
    by: UUID,
) -> None:
    """Change where people are sent back to, and where sign-outs are told; codes on their way to an old address die there."""
    lists = {"redirect_uris": redirect_uris, "post_logout_redirect_uris": post_logout_redirect_uris}
    for field, uris in lists.items():
        if len(uris) > redirects.MOST:
            raise redirects.BadRedirectURI("Those are too many addresses for one client.", field=field)
        for uri in uris:
            try:
                redirects.acceptable(uri, work.settings, native=client.native)
            except redirects.BadRedirectURI as error:
                raise redirects.BadRedirectURI(field=field) from error
    if not redirect_uris and "authorization_code" in client.grant_types:
        raise Invalid("Name at least one address; without one nobody can sign in.", field="redirect_uris")
    if backchannel_logout_uri is not None:
        fetching.check_url(backchannel_logout_uri, work.settings, field="backchannel_logout_uri")
    client.redirect_uris = list(dict.fromkeys(redirect_uris))
    client.post_logout_redirect_uris = list(dict.fromkeys(post_logout_redirect_uris))
    client.backchannel_logout_uri = backchannel_logout_uri
    await note(work, network, "network.addresses_changed", "Addresses of the client", by=by)


async def rename(work: UnitOfWork, network: Network, name: str, *, by: UUID) -> None:
    """Change what people call the network, also where they consent; its short name and its address stay."""
    named = await networks.rename(work, network.id, name)
    await work.session.execute(update(Client).where(Client.network_id == network.id).values(name=named))
    await note(work, network, "network.renamed", f"Now called {named}", by=by)


async def note(work: UnitOfWork, network: Network, act: str, reason: str, *, by: UUID) -> None:
    """Write an act of a network's admin into the audit log."""
    await audit.record(work, act=act, reason=reason, actor=by, subject=network.slug)


def _rounded(count: int) -> int | None:
    return count if count >= SMALLEST else None
