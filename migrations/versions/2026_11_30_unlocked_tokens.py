"""Access tokens name their client without a lock on its row; the index by grant leaves out what has none."""

import sqlalchemy as sa
from alembic import op

revision = "unlocked_tokens"
down_revision = "leases"

GRANTED = sa.text("grant_id IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("access_tokens") as tokens:
        tokens.drop_constraint("fk_access_tokens_client_id_clients", type_="foreignkey")
        tokens.drop_index("ix_access_tokens_client_id")
        tokens.drop_index("ix_access_tokens_grant_id")
        tokens.create_index(
            "ix_access_tokens_grant_id", ["grant_id"], postgresql_where=GRANTED, sqlite_where=GRANTED
        )


def downgrade() -> None:
    # Tokens that a client had in its own name may have outlived it; they open nothing.
    op.execute("DELETE FROM access_tokens WHERE client_id NOT IN (SELECT id FROM clients)")
    with op.batch_alter_table("access_tokens") as tokens:
        tokens.drop_index("ix_access_tokens_grant_id")
        tokens.create_index("ix_access_tokens_grant_id", ["grant_id"])
        tokens.create_index("ix_access_tokens_client_id", ["client_id"])
        tokens.create_foreign_key("fk_access_tokens_client_id_clients", "clients", ["client_id"], ["id"])
