from uuid import UUID

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from coop import schema
from coop.authorization.clients import Client
from coop.authorization.tokens import AccessToken
from coop.unit_of_work import Units

ID = UUID(int=7)


async def test_migrations_build_what_the_models_describe(units: Units) -> None:
    async with units.writer.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True}), schema.metadata
            )
        )

    assert differences == []


def test_the_newest_revision_is_alembics_head() -> None:
    assert [schema.head()] == ScriptDirectory.from_config(schema.configuration()).get_heads()


async def test_every_migration_can_be_undone_and_done_again(units: Units) -> None:
    await down_to(units, "base")
    await schema.upgrade(units.writer)

    assert not await schema.behind(units.writer)


async def test_clients_and_what_was_granted_to_them_outlive_the_migration(units: Units) -> None:
    """A table that others refer to is copied on SQLite; nothing of it may be lost."""
    await down_to(units, "authorization")
    async with units.writer.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO clients (id, name, sector, redirect_uris, post_logout_redirect_uris, scope, grant_types,"
                " auth_method, native, id_token_algorithm, profile_in_id_token, self_registered, created_at)"
                " VALUES (:id, 'Old', 'old.example', '[]', '[]', 'openid', '[]', 'none', false, 'ES256', false, false,"
                " '2026-01-01')"
            ).bindparams(sa.bindparam("id", type_=sa.Uuid())),
            {"id": ID},
        )
        await connection.execute(
            sa.text(
                "INSERT INTO access_tokens (digest, client_id, scope, issued_at, expires_at)"
                " VALUES (:digest, :id, 'openid', '2026-01-01', '2026-01-02')"
            ).bindparams(sa.bindparam("id", type_=sa.Uuid())),
            {"id": ID, "digest": bytes(32)},
        )

    await schema.upgrade(units.writer)

    async with units.read() as work:
        client = await work.session.get_one(Client, ID)
        token = await work.session.get_one(AccessToken, bytes(32))
    assert (client.requires_pkce, client.access_token_format, client.details) == (True, "opaque", {})
    assert token.client_id == ID


async def down_to(units: Units, revision: str) -> None:
    """Undo migrations, of an empty database."""
    async with units.writer.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(schema.configuration(sync), revision))
