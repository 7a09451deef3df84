"""Clients whose software cannot gate by itself may be closed to all but members."""

import sqlalchemy as sa
from alembic import op

revision = "recipes"
down_revision = "assertions"


def upgrade() -> None:
    with op.batch_alter_table("clients") as clients:
        clients.add_column(sa.Column("members_only", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("clients") as clients:
        clients.drop_column("members_only")
