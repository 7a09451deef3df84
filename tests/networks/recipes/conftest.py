from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

import httpx
import pytest
from litestar import Litestar

from coop import policies
from coop.authorization import backchannel, ending, onboarding
from coop.fetching import Fetcher
from coop.identity.accounts import Account
from coop.membership import terms
from coop.unit_of_work import Units
from coop.worker import Worker, together
from tests import people
from tests.conftest import ISSUER, Postbox
from tests.cooperative import found
from tests.networks.receiver import listening
from tests.networks.recipes.application import Application

Plug = Callable[..., Awaitable[Application]]
SignsOut = Callable[[Application], Awaitable[list[str]]]


@pytest.fixture
async def wire(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to the cooperative as an application's server does, without cookies."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as speaking:
        yield speaking


@pytest.fixture
async def plug(units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient) -> Plug:
    """Plug an application in by its recipe."""
    await found(units)

    async def onboard(kind: str) -> Application:
        async with units.open() as work:
            made = await onboarding.onboard(
                work, kind=kind, name="Lantern", origin=f"https://{kind.replace('_', '-')}.example"
            )
        return Application(made, client, wire)

    return onboard


@dataclass
class Person:
    """Ada, signed in in the browser, member or not."""

    account: Account
    units: Units

    async def joins(self) -> None:
        """Begin a year of membership."""
        async with self.units.open() as work:
            await terms.begin(work, self.account.id, dues=await policies.in_force(work, policies.Dues))

    async def leaves(self) -> None:
        """End the membership now."""
        async with self.units.open() as work:
            term = await terms.current(work, self.account.id)
            assert term is not None
            await terms.end_early(work, term.id)


@pytest.fixture
async def signs_out(units: Units) -> SignsOut:
    """Let the worker notice what ended, and return the logout tokens that an application is sent."""

    async def carry_out(application: Application) -> list[str]:
        async with listening() as receiver:
            async with units.open() as work:
                client = await onboarding.client_of(work, application.made.network.id)
                client.backchannel_logout_uri = receiver.url
            await Worker(units, Postbox(), handlers=together(ending.handlers)).drain()
            async with Fetcher(units.settings) as fetcher:
                await backchannel.tell_due(units, fetcher)
        return [dict(parse_qsl(one.body.decode()))["logout_token"] for one in receiver.received]

    return carry_out


@pytest.fixture
async def ada(client: httpx.AsyncClient, units: Units) -> Person:
    """Sign Ada in in the browser; she is no member yet."""
    return Person(await people.signed_in_client(client, units, "ada", email="ada@example.org"), units)
