"""The driver's own connections, lent to hot paths."""

from datetime import timedelta

import anyio
import pytest
from sqlalchemy import Integer, String, bindparam, cast, literal, select
from sqlalchemy.exc import DBAPIError

from coop.clock import FixedClock
from coop.database import RECYCLE_SECONDS
from coop.prepared import Line, Prepared
from coop.unit_of_work import Units

ECHO = Prepared(select(bindparam("said", type_=literal(1).type)))
NUMBER = Prepared(select(cast(bindparam("said", type_=String()), Integer)))


async def echo(line: Line) -> bool:
    return await ECHO.rows(line, said=7) == [(7,)]


async def test_a_connection_is_lent_again(units: Units) -> None:
    async with units.line() as first:
        assert await echo(first)
    async with units.line() as second:
        assert await echo(second)

    assert first.driver is second.driver


async def test_more_lines_than_connections_wait_for_one_another(units: Units) -> None:
    answered = []

    async def ask() -> None:
        async with units.line() as line:
            answered.append(await echo(line))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as together:
            for _ in range(40):
                together.start_soon(ask)

    assert answered == [True] * 40


async def test_whatever_ends_a_line_leaves_its_connection_to_others(units: Units) -> None:
    async def refused() -> None:
        async with units.line() as line:
            await echo(line)
            raise LookupError

    for _ in range(20):
        with pytest.raises(LookupError):
            await refused()
        with anyio.CancelScope() as scope:
            async with units.line():
                scope.cancel()
                await anyio.sleep_forever()

    async with units.line() as line:
        assert await echo(line)


async def test_an_old_connection_goes_back_to_the_pool(units: Units, clock: FixedClock) -> None:
    async with units.line() as line:
        assert await echo(line)

    clock.instant += timedelta(seconds=RECYCLE_SECONDS + 1)

    async with units.line() as line:
        assert await echo(line)


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_a_connection_that_the_server_closed_is_not_lent_again(units: Units) -> None:
    async with units.line() as line:
        assert await echo(line)
    line.driver.terminate()

    async with units.line() as following:
        assert await echo(following)

    assert following.driver is not line.driver


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_a_plan_made_of_an_empty_table_reads_by_key_once_it_is_full(units: Units) -> None:
    asked = "EXPLAIN SELECT * FROM refresh_tokens WHERE digest = $1"
    async with units.line() as line:
        # The server knows then that there is nothing in it.
        await line.driver.execute("VACUUM ANALYZE refresh_tokens")
        plan = await line.driver.fetch(asked, b"x")
        await line.driver.execute("SET enable_seqscan = on")
        usual = await line.driver.fetch(asked, b"y")
        await line.driver.execute("SET enable_seqscan = off")
        compiled = await line.driver.fetchval("SHOW jit")

    assert "Index Scan" in plan[0][0]
    assert "Seq Scan" in usual[0][0]
    assert compiled == "off"


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_a_statement_that_fails_takes_its_connection_along(units: Units) -> None:
    async def misread() -> None:
        async with units.line() as line:
            await NUMBER.rows(line, said="seven")

    for _ in range(20):
        with pytest.raises(DBAPIError):
            await misread()

    async with units.line() as line:
        assert await echo(line)
