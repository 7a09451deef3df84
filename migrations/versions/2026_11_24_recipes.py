"""Clients closed to all but members, or told when a membership ends: what their software cannot find out by itself."""

import sqlalchemy as sa
from alembic import op

revision = "recipes"
down_revision = "moving"

FLAGS = ("members_only", "ends_with_membership")


def upgrade() -> None:
    with op.batch_alter_table("clients") as clients:
        for name in FLAGS:
            clients.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("clients") as clients:
        for name in FLAGS:
            clients.drop_column(name)
