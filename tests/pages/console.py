"""A network with everything that its console can show."""

from dataclasses import dataclass
from uuid import UUID

from coop.authorization.clients import Client
from coop.authorization.onboarding import onboard
from coop.identity.accounts import Account
from coop.networks import admins, deliveries, endpoints, payloads
from coop.networks.networks import Network
from coop.stewardship import roles
from coop.unit_of_work import Units
from tests.cooperative import adopt_law

HOOKS = "https://meadow.example/hooks"


@dataclass
class Console:
    """A network, its client with the first secret, and the path of its console."""

    network: Network
    client: Client
    secret: str
    path: str


async def plugged_in(
    units: Units, admin: Account | None = None, *, name: str = "Meadow", webhook: bool = False
) -> Console:
    """Register a network that `admin` administers."""
    async with units.open() as work:
        await adopt_law(work)
        made = await onboard(work, kind="own", name=name, origin=f"https://{name.lower()}.example")
        if admin is not None:
            await admins.add(work, made.network.id, admin.id, by=None)
        if webhook:
            await endpoints.create(work, made.network.id, HOOKS)
    assert made.client_secret is not None
    return Console(made.network, made.client, made.client_secret, f"/networks/{made.network.slug}/console")


async def appoint(units: Units, account: Account) -> None:
    """Make somebody an admin of the cooperative."""
    async with units.open() as work:
        until = work.now.replace(year=work.now.year + 1)
        await roles.grant(work, account.id, "admin", until=until, act="founding", reason="First admin")


async def delivered(units: Units, network_id: UUID, *statuses: int | None) -> list[str]:
    """Leave deliveries behind that ended as `statuses` say; nothing means that nobody answered."""
    ids = []
    async with units.open() as work:
        endpoint = await endpoints.of(work, network_id)
        for status in statuses:
            told = payloads.Activated(timestamp=work.wall, data=payloads.Member(subject="x" * 43))
            made = deliveries.write(work, endpoint.id, told, account_id=None, due_at=work.wall)
            arrived = status is not None and status < 300
            made.delivered_at = work.wall if arrived else None
            made.due_at = None
            made.attempts = 1
            made.last_status, made.last_failure = status, None if status else "unreachable"
            made.history = [{"at": work.wall.isoformat(), "status": status, "failure": made.last_failure}]
            ids.append(made.id)
    return ids
