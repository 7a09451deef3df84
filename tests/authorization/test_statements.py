"""How many statements the hot paths cost; each is counted, so that none slips in unnoticed."""

import contextlib
from collections.abc import Iterator

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import event

from coop.unit_of_work import Units
from tests.protocol.relying_party import RelyingParty

# The movable clock of tests asks for its offset once a unit; production does not.
CLOCK = 1


@contextlib.contextmanager
def statements(app: Litestar) -> Iterator[list[str]]:
    """Collect what the application says to its database."""
    units: Units = app.state.units
    said: list[str] = []

    def note(*call: object) -> None:
        statement = str(call[2])
        if not statement.startswith(("BEGIN", "COMMIT", "PRAGMA", "SAVEPOINT", "RELEASE")):
            said.append(statement)

    engines = (units.reader.sync_engine, units.writer.sync_engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield said
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.usefixtures("ada")
async def test_introspection_takes_the_client_the_token_and_the_standing(
    app: Litestar, party: RelyingParty
) -> None:
    tokens = await party.tokens()

    with statements(app) as said:
        await party.introspect(tokens["access_token"])

    assert len(said) == CLOCK + 3, said


async def test_client_credentials_take_a_look_and_an_insert(app: Litestar, party: RelyingParty) -> None:
    with statements(app) as said:
        await party.token(grant_type="client_credentials")

    assert len(said) == CLOCK + 2, said


@pytest.mark.usefixtures("ada")
async def test_a_refresh_takes_eight(app: Litestar, party: RelyingParty) -> None:
    tokens = await party.tokens()

    with statements(app) as said:
        await party.refresh(tokens["refresh_token"])

    # Client, token with its family, use, account; standing, key; the successor and the access token.
    assert len(said) == CLOCK + 8, said


@pytest.mark.usefixtures("ada")
async def test_a_code_takes_eight(app: Litestar, party: RelyingParty) -> None:
    code = await party.code()

    with statements(app) as said:
        await party.redeem(code)

    # Client, grant, use, account; the two tokens; standing, key.
    assert len(said) == CLOCK + 8, said


async def test_discovery_asks_the_database_nothing(app: Litestar, wire: httpx.AsyncClient) -> None:
    with statements(app) as said:
        await wire.get("/.well-known/openid-configuration")

    assert said == []
