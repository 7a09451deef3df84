import httpx

from coop.networks import networks
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
