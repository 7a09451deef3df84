"""Client assertions that were used, so that none counts twice."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "assertions"
down_revision = "console"


def upgrade() -> None:
    op.create_table(
        "used_assertions",
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("jti_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_used_assertions_client_id_clients"),
        sa.PrimaryKeyConstraint("client_id", "jti_digest", name="pk_used_assertions"),
    )
    op.create_index("ix_used_assertions_expires_at", "used_assertions", ["expires_at"])


def downgrade() -> None:
    op.drop_table("used_assertions")
