"""Claimed keys that know who holds them."""

import sqlalchemy as sa
from alembic import op

revision = "leases"
down_revision = "wishes"


def upgrade() -> None:
    with op.batch_alter_table("operations") as operations:
        operations.add_column(sa.Column("lease", sa.Uuid(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("operations") as operations:
        operations.drop_column("lease")
