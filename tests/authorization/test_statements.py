"""How many statements the hot paths cost; each is counted, so that none slips in unnoticed."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import event

from coop.prepared import Line, Prepared
from coop.unit_of_work import Units
from tests.protocol.relying_party import RelyingParty

# The movable clock of tests asks for its offset once a line or unit; production does not.
CLOCK = 1
# A refresh uses the token up and issues two others: at once on PostgreSQL, one after the other on SQLite.
WRITES = {"postgresql": 1, "sqlite": 3}


@contextlib.contextmanager
def statements(app: Litestar) -> Iterator[list[str]]:
    """Collect what the application says to its database, through sessions and on the driver's own connection."""
    units: Units = app.state.units
    said: list[str] = []

    def note(*call: object) -> None:
        statement = str(call[2])
        if not statement.startswith(("BEGIN", "COMMIT", "PRAGMA", "SAVEPOINT", "RELEASE")):
            said.append(statement)

    async def noted(self: Prepared, line: Line, **values: object) -> list[tuple[Any, ...]]:
        said.append(str(self.statement))
        return await rows(self, line, **values)

    rows = Prepared.rows
    engines = (units.reader.sync_engine, units.writer.sync_engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    with pytest.MonkeyPatch.context() as watching:
        watching.setattr(Prepared, "rows", noted)
        yield said
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.usefixtures("ada")
async def test_introspection_takes_one(app: Litestar, party: RelyingParty) -> None:
    tokens = await party.tokens()

    with statements(app) as said:
        await party.introspect(tokens["access_token"])

    assert len(said) == CLOCK + 1, said


async def test_client_credentials_take_a_look_and_an_insert(app: Litestar, party: RelyingParty) -> None:
    with statements(app) as said:
        await party.token(grant_type="client_credentials")

    assert len(said) == 2 * CLOCK + 2, said


@pytest.mark.usefixtures("ada")
async def test_a_refresh_takes_a_look_and_a_write(
    app: Litestar, party: RelyingParty, engine_name: str
) -> None:
    tokens = await party.tokens()

    with statements(app) as said:
        await party.refresh(tokens["refresh_token"])

    assert len(said) == 2 * CLOCK + 1 + WRITES[engine_name], said


@pytest.mark.usefixtures("ada")
async def test_a_code_takes_a_look_and_a_write(app: Litestar, party: RelyingParty, engine_name: str) -> None:
    code = await party.code()

    with statements(app) as said:
        await party.redeem(code)

    assert len(said) == 2 * CLOCK + 1 + WRITES[engine_name], said


async def test_discovery_asks_the_database_nothing(app: Litestar, wire: httpx.AsyncClient) -> None:
    with statements(app) as said:
        await wire.get("/.well-known/openid-configuration")

    assert said == []
