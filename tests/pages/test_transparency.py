from datetime import timedelta

import httpx

from coop.clock import FixedClock
from coop.networks import networks
from coop.stewardship import audit
from coop.unit_of_work import Units
from tests import cooperative


async def test_every_kind_of_law_is_named_with_the_act_behind_it(
    units: Units, client: httpx.AsyncClient
) -> None:
    await cooperative.found(units)

    text = (await client.get("/transparency")).text

    kinds = ("dues", "pool", "shares", "voting", "terms", "covenant", "privacy", "admission")
    assert all(f'href="/law/{kind}"' in text for kind in kinds)
    assert text.count("the founding") >= len(kinds)


async def test_the_log_s_lines_are_counted_by_whole_months_so_that_no_act_shows_as_it_happens(
    units: Units, client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await cooperative.found(units)
    before = (await client.get("/transparency")).text
    async with units.open() as work:
        await audit.record(work, act="money.cash.approved", reason="At the assembly", actor=None)

    assert (await client.get("/transparency")).text == before
    assert "grew by 0 lines" in before
    clock.advance(timedelta(days=31))
    assert "grew by 1 line." in (await client.get("/transparency")).text


async def test_a_suspended_network_leaves_the_directory(units: Units, client: httpx.AsyncClient) -> None:
    await cooperative.found(units)
    async with units.open() as work:
        meadow = await networks.register(work, kind="own", name="Meadow", origin="https://meadow.example")
        await networks.register(work, kind="own", name="Lantern", origin="https://lantern.example")
        await networks.suspend(work, meadow.id)

    text = (await client.get("/networks")).text

    assert "Lantern" in text
    assert "Signed the covenant, version 1." in text
    assert "Meadow" not in text
