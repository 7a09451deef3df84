from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from coop import schema
from coop.unit_of_work import Units


async def test_migrations_build_what_the_models_describe(units: Units) -> None:
    async with units.writer.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True}), schema.metadata
            )
        )

    assert differences == []


async def test_every_migration_can_be_undone_and_done_again(units: Units) -> None:
    async with units.writer.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(schema.configuration(sync), "base"))
    await schema.upgrade(units.writer)

    assert not await schema.behind(units.writer)
