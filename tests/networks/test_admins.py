from uuid import UUID

import anyio
import pytest

from coop.errors import CoopError
from coop.networks import admins
from coop.networks.admins import LastNetworkAdmin, NoSuchNetworkAdmin, NotNetworkAdmin
from coop.stewardship import audit, roles
from coop.unit_of_work import Units
from tests.networks import people


async def test_whoever_was_named_may_act_for_the_network_and_nobody_else(units: Units) -> None:
    robin, wren = await people.account(units, "robin"), await people.account(units, "wren")
    lagoon, harbor = await people.network(units, "Lagoon"), await people.network(units, "Harbor")
    async with units.open() as work:
        assert await admins.add(work, lagoon, robin, by=None)
        assert not await admins.add(work, lagoon, robin, by=None)

    async with units.read() as work:
        assert await admins.require(work, lagoon, robin) == "network"
        assert [network.id for network in await admins.networks_of(work, robin)] == [lagoon]
        assert [handle for handle, _ in await admins.of_network(work, lagoon)] == ["robin"]
        for network_id, account_id in ((lagoon, wren), (harbor, robin)):
            with pytest.raises(NotNetworkAdmin):
                await admins.require(work, network_id, account_id)
        assert [entry.act for entry in await audit.about(work, robin)] == ["network.admin_added"]


async def test_an_admin_of_the_cooperative_may_act_for_every_network_while_the_role_lasts(
    units: Units,
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    async with units.open() as work:
        until = work.now.replace(year=work.now.year + 1)
        await roles.grant(work, robin, "admin", until=until, act="founding", reason="First admin")
        assert await admins.require(work, lagoon, robin) == "cooperative"
        await roles.end(work, robin, "admin", reason="Moved on")

    async with units.open() as work:
        with pytest.raises(NotNetworkAdmin):
            await admins.require(work, lagoon, robin)


async def test_the_last_admin_cannot_leave_a_network_with_nobody_but_the_operator_may(units: Units) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    async with units.open() as work:
        await admins.add(work, lagoon, robin, by=None)

    async with units.open() as work:
        with pytest.raises(LastNetworkAdmin):
            await admins.remove(work, lagoon, robin, by=robin)
    async with units.open() as work:
        await admins.remove(work, lagoon, robin, by=None)
    async with units.open() as work:
        with pytest.raises(NoSuchNetworkAdmin):
            await admins.remove(work, lagoon, robin, by=None)


async def test_of_two_admins_who_take_each_other_out_at_once_one_stays(units: Units) -> None:
    robin, wren = await people.account(units, "robin"), await people.account(units, "wren")
    lagoon = await people.network(units)
    async with units.open() as work:
        await admins.add(work, lagoon, robin, by=None)
        await admins.add(work, lagoon, wren, by=robin)
    refusals: list[CoopError] = []

    async def take_out(whom: UUID, by: UUID) -> None:
        try:
            async with units.open() as work:
                await admins.remove(work, lagoon, whom, by=by)
        except CoopError as refusal:
            refusals.append(refusal)

    async with anyio.create_task_group() as group:
        group.start_soon(take_out, robin, wren)
        group.start_soon(take_out, wren, robin)

    async with units.read() as work:
        assert len(await admins.of_network(work, lagoon)) == 1
    assert [type(refusal) for refusal in refusals] == [LastNetworkAdmin]
