from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest
from litestar import Litestar

from coop import policies
from coop.authorization import onboarding
from coop.identity.accounts import Account
from coop.membership import terms
from coop.unit_of_work import Units
from tests import people
from tests.conftest import ISSUER
from tests.cooperative import found
from tests.networks.recipes.application import Application

Plug = Callable[..., Awaitable[Application]]


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
async def ada(client: httpx.AsyncClient, units: Units) -> Person:
    """Sign Ada in in the browser; she is no member yet."""
    return Person(await people.signed_in_client(client, units, "ada", email="ada@example.org"), units)
