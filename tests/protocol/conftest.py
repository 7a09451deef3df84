from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar

from coop.identity.accounts import Account
from coop.settings import Settings
from coop.unit_of_work import Units
from tests import people
from tests.conftest import ISSUER
from tests.cooperative import found
from tests.protocol.relying_party import RelyingParty, register
from tests.service import Service, serving


@pytest.fixture
async def wire(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to the application as a server does, without cookies."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as speaking:
        yield speaking


@pytest.fixture
async def ada(client: httpx.AsyncClient, units: Units) -> Account:
    """Sign Ada in in the browser."""
    return await people.signed_in_client(client, units, "ada", email="ada@example.org")


@pytest.fixture
async def law(units: Units) -> None:
    """Found the cooperative: networks sign its covenant."""
    await found(units)


@pytest.fixture
async def party(law: None, units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient) -> RelyingParty:
    """Return a confidential client of a network."""
    del law
    return await register(units, client, wire)


@pytest.fixture
async def other(law: None, units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient) -> RelyingParty:
    """Return the client of another network."""
    del law
    return await register(units, client, wire, host="anchor.example", auth_method="client_secret_post")


@pytest.fixture
async def phone(law: None, units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient) -> RelyingParty:
    """Return a public client: an application on somebody's phone."""
    del law
    return await register(
        units,
        client,
        wire,
        host="phone.example",
        auth_method="none",
        redirect_uri="http://127.0.0.1/callback",
    )


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    """Serve the application on a loopback port."""
    async with serving(settings) as started:
        yield started
