"""A network with a client, a member that it knows, and the token by which it asks."""

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import anyio
import httpx
import pytest
import uvicorn
from litestar import Litestar

from coop import policies
from coop.authorization import clients
from coop.membership import terms
from coop.networks import links, networks
from coop.unit_of_work import Units
from tests import people
from tests.cooperative import adopt_law


@dataclass
class Lagoon:
    """What a test knows of one network."""

    network_id: UUID
    client_id: str
    secret: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """The header that authenticates its questions."""
        return {"Authorization": f"Bearer {self.token}"}


async def plugged_in(units: Units, client: httpx.AsyncClient, name: str = "Lagoon") -> Lagoon:
    """Register a network with a confidential client and let it get a token over HTTP."""
    async with units.open() as work:
        await adopt_law(work)
        network = await networks.register(
            work, kind="own", name=name, origin=f"https://{name.lower()}.example"
        )
        registered, secret = await clients.register(
            work, name=name, network_id=network.id, redirect_uris=[f"{network.origin}/callback"]
        )
    answer = await client.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "scope": "entitlements"},
        auth=(registered.client_id, secret or ""),
    )
    assert answer.status_code == 200, answer.text
    return Lagoon(network.id, registered.client_id, secret or "", answer.json()["access_token"])


async def member(units: Units, network_id: UUID, handle: str, *, paid: bool = True) -> str:
    """Return the subject of an account on a network, with a year of membership if `paid`."""
    account = await people.register(units, handle)
    async with units.open() as work:
        if paid:
            await terms.begin(work, account.id, dues=await policies.in_force(work, policies.Dues))
        return (await links.link(work, network_id, account.id)).subject


@pytest.fixture
async def lagoon(units: Units, client: httpx.AsyncClient) -> Lagoon:
    """Plug a network in."""
    return await plugged_in(units, client)


@pytest.fixture
async def registrar(units: Units, client: httpx.AsyncClient) -> dict[str, str]:
    """Give the header of a program that may plug networks in."""
    async with units.open() as work:
        await adopt_law(work)
        program, secret = await clients.register(
            work, name="Registrar", redirect_uris=[], scope="", grant_types=["client_credentials"]
        )
        clients.entrust(program, "networks")
    answer = await client.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=(program.client_id, secret or "")
    )
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@contextlib.asynccontextmanager
async def serving(app: Litestar) -> AsyncIterator[str]:
    """Serve the application on a free loopback port, as in production, in this very loop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True
