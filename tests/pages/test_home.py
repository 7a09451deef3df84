import httpx

from coop import ledger
from coop.clock import FixedClock
from coop.governance import outcome
from coop.ledger import BANK, POOL
from coop.money import Money
from coop.networks import networks
from coop.unit_of_work import Units
from tests import cooperative
from tests.governance.conftest import Assembly


async def test_the_first_page_states_the_price_in_force_and_its_source(
    units: Units, client: httpx.AsyncClient
) -> None:
    await cooperative.found(units)

    text = (await client.get("/")).text

    assert "$25" in text
    assert 'href="/law/dues"' in text


async def test_a_carried_motion_is_named_as_the_source_of_the_price(
    units: Units, client: httpx.AsyncClient, clock: FixedClock
) -> None:
    assembly = Assembly(units, clock)
    await assembly.gather()
    motion = await assembly.open()
    deciding = (await client.get("/")).text
    await assembly.vote(motion, *["yes"] * 6)
    await assembly.count(motion)
    assembly.stand_at(motion, "effective_at")
    await outcome.execute_due(units)

    text = (await client.get("/")).text

    assert "What members are deciding" in deciding
    assert "$25" in deciding
    assert "$27" in text
    assert f'<a href="/votes/{motion.id}">Raise dues to $27</a>' in text


async def test_the_parts_add_up_to_the_price(units: Units, client: httpx.AsyncClient) -> None:
    await cooperative.found(units)

    text = (await client.get("/")).text

    assert all(part in text for part in ("$15", "$7.50", "$2.50"))


async def test_the_networks_of_the_cooperative_are_listed(units: Units, client: httpx.AsyncClient) -> None:
    await cooperative.found(units)
    async with units.open() as work:
        await networks.register(work, kind="own", name="Meadow <b>", origin="https://meadow.example")

    text = (await client.get("/")).text

    assert "Meadow &lt;b&gt;" in text
    assert "https://meadow.example" in text


async def test_the_pool_is_told_in_years_that_it_can_pay(units: Units, client: httpx.AsyncClient) -> None:
    await cooperative.found(units)
    async with units.open() as work:
        await ledger.post(
            work,
            source="test",
            external_id="1",
            description="A gift to the pool",
            postings=[ledger.debit(BANK, Money(8_000)), ledger.credit(POOL, Money(8_000))],
        )

    text = (await client.get("/")).text

    assert "The solidarity pool holds $80, enough for 3 more years." in text
