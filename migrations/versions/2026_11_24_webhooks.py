"""Deliveries with a rank and a memory of their attempts; endpoints that are slow or fail."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "webhooks"
down_revision = "recipes"


def upgrade() -> None:
    with op.batch_alter_table("webhook_endpoints") as endpoints:
        endpoints.add_column(sa.Column("failing_since", UTCDateTime(), nullable=True))
        endpoints.add_column(sa.Column("slow", sa.Boolean(), nullable=False, server_default=sa.false()))
        endpoints.add_column(sa.Column("tried_at", UTCDateTime(), nullable=True))
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.add_column(sa.Column("rank", sa.SmallInteger(), nullable=False, server_default="1"))
        deliveries.add_column(sa.Column("history", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.drop_column("history")
        deliveries.drop_column("rank")
    with op.batch_alter_table("webhook_endpoints") as endpoints:
        endpoints.drop_column("tried_at")
        endpoints.drop_column("slow")
        endpoints.drop_column("failing_since")
