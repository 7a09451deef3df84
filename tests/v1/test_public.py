from datetime import timedelta

import httpx
import msgspec

from coop import policies
from coop.networks import networks
from coop.unit_of_work import Units
from tests.v1.conftest import Lagoon


async def test_the_directory_names_the_covenant_that_each_network_signed(
    client: httpx.AsyncClient, lagoon: Lagoon
) -> None:
    del lagoon

    (network,) = (await client.get("/v1/networks")).json()["networks"]

    assert (network["slug"], network["origin"], network["covenant_version"]) == (
        "lagoon",
        "https://lagoon.example",
        1,
    )


async def test_a_suspended_network_is_not_in_the_directory(
    client: httpx.AsyncClient, units: Units, lagoon: Lagoon
) -> None:
    async with units.open() as work:
        await networks.suspend(work, lagoon.network_id)

    assert (await client.get("/v1/networks")).json() == {"networks": []}


async def test_law_is_told_with_its_history_and_what_is_in_force(
    client: httpx.AsyncClient, units: Units, lagoon: Lagoon
) -> None:
    del lagoon
    async with units.open() as work:
        old = await policies.latest(work, policies.Dues)
        await policies.adopt(
            work,
            msgspec.structs.replace(old.document, price=2700),
            act=f"motion:{old.id}",
            effective_at=work.now + timedelta(days=7),
            replaces=old.hash,
        )

    law = (await client.get("/v1/policies/dues")).json()
    await units.advance(timedelta(days=8))
    later = (await client.get("/v1/policies/dues")).json()

    assert [version["document"]["price"] for version in law["versions"]] == [2500, 2700]
    assert law["in_force"] == law["versions"][0]["id"]
    assert later["in_force"] == law["versions"][1]["id"]


async def test_an_unknown_kind_of_law_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/policies/gravity")

    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_policy")


async def test_before_the_founding_there_is_no_law_to_tell(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/policies/dues")

    assert (answer.status_code, answer.json()["code"]) == (503, "not_founded")
