"""The demo's networks: a sample one that really runs, twice, and a larger one that is there by name."""

import random
from uuid import UUID

import msgspec
from sqlalchemy import update

from coop.authorization import clients, consents, scopes
from coop.authorization.clients import Client
from coop.cli.demo.story import SeededClient, SeededNetwork, Story
from coop.identity import accounts
from coop.networks import admins, networks
from coop.networks.networks import Network
from coop.unit_of_work import UnitOfWork, Units

SCOPE = "openid profile email membership offline_access"


class Neighbourhood:
    """Networks, their clients, and who comes to use them."""

    def __init__(self, units: Units, accounts: dict[str, UUID], network_port: int):
        """`accounts` grows while people join."""
        self.units = units
        self.accounts = accounts
        self.ports = (network_port, network_port + 1)
        self.clients: list[SeededClient] = []
        self.networks: list[SeededNetwork] = []
        self.chance = random.Random(25)  # noqa: S311 - the same demo every time, nothing secret

    async def arrive(self) -> None:
        """Register the networks, each with its client."""
        async with self.units.open() as work:
            for name, slug, kind, port in (
                ("Riverside", "riverside", "own", self.ports[0]),
                ("The Orchard", "orchard", "own", self.ports[1]),
            ):
                origin = f"http://127.0.0.1:{port}"
                network = await self.network(work, kind, name, slug, origin)
                await self.client(work, network, callbacks(origin), origin)
            lighthouse = await self.network(
                work, "synapse", "Lighthouse", "lighthouse", "https://matrix.lighthouse.example"
            )
            await self.client(
                work, lighthouse, ["http://127.0.0.1/callback"], "http://127.0.0.1", auth_method="none"
            )

    async def network(self, work: UnitOfWork, kind: str, name: str, slug: str, origin: str) -> Network:
        """Register one network."""
        network = await networks.register(work, kind=kind, name=name, origin=origin, slug=slug)
        # So that the console can be looked at, by the one whom the demo introduces as its steward.
        await admins.add(work, network.id, self.accounts["ada"], by=None)
        self.networks.append(SeededNetwork(slug=slug, name=name, origin=origin))
        return network

    async def client(
        self,
        work: UnitOfWork,
        network: Network,
        callback: list[str],
        origin: str,
        auth_method: str = "client_secret_basic",
    ) -> None:
        """Register one network's client."""
        client, secret = await clients.register(
            work,
            name=network.name,
            network_id=network.id,
            redirect_uris=callback,
            post_logout_redirect_uris=[f"{origin}/"],
            scope=SCOPE if auth_method == "none" else f"{SCOPE} entitlements",
            auth_method=auth_method,
        )
        self.clients.append(
            SeededClient(
                client_id=client.client_id,
                client_secret=secret,
                redirect_uris=callback,
                post_logout_redirect_uris=[f"{origin}/"],
                scope=client.scope,
                auth_method=auth_method,
                network=network.slug,
            )
        )

    async def mingle(self) -> None:
        """Let some of those who have joined come to one more network, and agree to what it may know."""
        async with self.units.open() as work:
            guests = self.chance.sample(sorted(self.accounts), k=max(1, len(self.accounts) // 4))
            for handle in guests:
                client = await clients.find(work, self.chance.choice(self.clients).client_id)
                if client is None or await consents.of(work, client.id, self.accounts[handle]) is not None:
                    continue
                await consents.give(
                    work,
                    client,
                    await accounts.get(work, self.accounts[handle]),
                    wanted=(scopes.OPENID, scopes.PROFILE),
                    name=await consents.suggested_name(work, client),
                    shares_email=False,
                    shares_display_name=False,
                )


def callbacks(origin: str) -> list[str]:
    """Return where a sample network at `origin` receives people back."""
    return [f"{origin}/callback", f"{origin}/callback/again"]


async def move(units: Units, story: Story, network_port: int) -> Story:
    """Let the running networks answer on other ports than the last time: a demo may be started anywhere."""
    moved, placed = list(story.clients), list(story.networks)
    async with units.open() as work:
        for index, port in enumerate((network_port, network_port + 1)):
            origin = f"http://127.0.0.1:{port}"
            if placed[index].origin == origin:
                continue
            await work.session.execute(
                update(Network).where(Network.slug == placed[index].slug).values(origin=origin)
            )
            where = {"redirect_uris": callbacks(origin), "post_logout_redirect_uris": [f"{origin}/"]}
            await work.session.execute(
                update(Client).where(Client.id == UUID(moved[index].client_id)).values(where)
            )
            moved[index] = SeededClient(
                **{name: getattr(moved[index], name) for name in moved[index].__struct_fields__} | where
            )
            placed[index] = SeededNetwork(slug=placed[index].slug, name=placed[index].name, origin=origin)
    return msgspec.structs.replace(story, clients=moved, networks=placed)
