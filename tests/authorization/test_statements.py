"""How many statements the hot paths cost; each is counted, so that none slips in unnoticed."""

import gc
from collections.abc import Iterator

import httpx
import pytest
from litestar import Litestar

from coop.authorization.server import Server
from tests.protocol.relying_party import RelyingParty
from tests.statements import CLOCK, statements

# A refresh uses the token up and issues two others: at once on PostgreSQL, one after the other on SQLite.
WRITES = {"postgresql": 1, "sqlite": 3}


@pytest.fixture
def collector_at_rest() -> Iterator[None]:
    """Have only what nobody refers to any more leave the memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("ada")
async def test_introspection_takes_one(app: Litestar, party: RelyingParty) -> None:
    tokens = await party.tokens()

    with statements(app) as said:
        await party.introspect(tokens["access_token"])

    assert len(said) == CLOCK + 1, said


@pytest.mark.usefixtures("ada", "collector_at_rest")
async def test_an_answer_leaves_nothing_for_the_collector(party: RelyingParty) -> None:
    tokens = await party.tokens()
    await party.introspect(tokens["access_token"])
    await party.refresh(tokens["refresh_token"])

    assert [each for each in gc.get_objects() if isinstance(each, Server)] == []


async def test_client_credentials_take_a_look_and_an_insert(app: Litestar, party: RelyingParty) -> None:
    with statements(app) as said:
        await party.token(grant_type="client_credentials")

    assert len(said) == CLOCK + 2, said


@pytest.mark.usefixtures("ada")
async def test_a_refresh_takes_a_look_and_a_write(
    app: Litestar, party: RelyingParty, engine_name: str
) -> None:
    tokens = await party.tokens()

    with statements(app) as said:
        await party.refresh(tokens["refresh_token"])

    assert len(said) == CLOCK + 1 + WRITES[engine_name], said


@pytest.mark.usefixtures("ada")
async def test_a_code_takes_a_look_and_a_write(app: Litestar, party: RelyingParty, engine_name: str) -> None:
    code = await party.code()

    with statements(app) as said:
        await party.redeem(code)

    assert len(said) == CLOCK + 1 + WRITES[engine_name], said


async def test_discovery_asks_the_database_nothing(app: Litestar, wire: httpx.AsyncClient) -> None:
    with statements(app) as said:
        await wire.get("/.well-known/openid-configuration")

    assert said == []
