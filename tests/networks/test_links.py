from datetime import timedelta

import anyio
import pytest
from sqlalchemy import func, select

from coop.networks import aliases, links, networks, subjects
from coop.outbox import OutboxMessage
from coop.unit_of_work import Units
from tests.networks import people


async def announced(units: Units) -> int:
    async with units.read() as work:
        return (
            await work.session.scalar(
                select(func.count()).select_from(OutboxMessage).where(OutboxMessage.kind == "MemberLinked")
            )
            or 0
        )


async def test_linking_twice_at_once_announces_the_member_once(units: Units) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)

    async def consent() -> None:
        async with units.open() as work:
            await links.link(work, lagoon, robin)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(consent)

    assert await announced(units) == 1


async def test_a_network_finds_its_members_by_its_own_subjects_only(units: Units) -> None:
    robin = await people.account(units, "robin")
    lagoon, harbor = await people.network(units, "Lagoon"), await people.network(units, "Harbor")
    async with units.open() as work:
        await links.link(work, lagoon, robin)
        await links.link(work, harbor, robin)
        there = await subjects.of(work, lagoon, robin)
        elsewhere = await subjects.of(work, harbor, robin)

    async with units.read() as work:
        assert await links.accounts_behind(work, lagoon, [there, elsewhere, "x" * 43]) == {there: robin}


async def test_a_member_who_left_is_a_stranger_and_keeps_subject_and_alias_on_return(units: Units) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    async with units.open() as work:
        subject = (await links.link(work, lagoon, robin)).subject
        await aliases.choose(work, lagoon, robin, "heron")
    await units.advance(timedelta(days=1))
    async with units.open() as work:
        assert await links.unlink(work, lagoon, robin)
    async with units.open() as work:
        assert not await links.unlink(work, lagoon, robin)
        assert await links.accounts_behind(work, lagoon, [subject]) == {}
        assert await links.networks_of(work, robin) == []

    async with units.open() as work:
        again = await links.link(work, lagoon, robin)
        assert again.subject == subject
        assert again.ended_at is None
    async with units.read() as work:
        alias = await aliases.of(work, lagoon, robin)
        assert alias is not None
        assert alias.alias == "heron"
        assert [network.slug for network, _ in await links.networks_of(work, robin)] == ["lagoon"]
    assert await announced(units) == 2


async def test_nobody_begins_to_use_a_suspended_network(units: Units) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    async with units.open() as work:
        await networks.suspend(work, lagoon)

    with pytest.raises(networks.NetworkSuspended):
        async with units.open() as work:
            await links.link(work, lagoon, robin)
