from uuid import UUID

import sqlalchemy as sa

from coop import policies, schema
from coop.identity.accounts import Account
from coop.networks import aliases, networks
from coop.unit_of_work import Units
from tests.migrations.test_migrations import down_to

ID = UUID(int=7)


async def test_aliases_outlive_the_migration_and_are_told_apart_by_looks(units: Units) -> None:
    async with units.open() as work:
        await policies.found(work)
        work.session.add(Account(id=ID, handle="robin", created_at=work.now))
        lagoon = await networks.register(work, kind="own", name="Lagoon", origin="https://lagoon.example")
        await aliases.choose(work, lagoon.id, ID, "vvarm_0wl1rn")

    await down_to(units, "logout")
    async with units.read() as work:
        assert await work.session.scalar(sa.text("SELECT alias FROM aliases")) == "vvarm_0wl1rn"
    await schema.upgrade(units.writer)

    async with units.read() as work:
        kept = await aliases.of(work, lagoon.id, ID)
        assert kept is not None
        assert (kept.alias, kept.folded) == ("vvarm_0wl1rn", "vvarm_0wl1rn")
        assert kept.skeleton == aliases.skeleton("vvarm_0wl1rn")
