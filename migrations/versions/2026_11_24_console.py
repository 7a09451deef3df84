"""Who administers a network."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "console"
down_revision = "clients"


def upgrade() -> None:
    op.create_table(
        "network_admins",
        sa.Column("network_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name="fk_network_admins_network_id_networks"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_network_admins_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(["added_by"], ["accounts.id"], name="fk_network_admins_added_by_accounts"),
        sa.PrimaryKeyConstraint("network_id", "account_id", name="pk_network_admins"),
    )
    op.create_index("ix_network_admins_account_id", "network_admins", ["account_id"])


def downgrade() -> None:
    op.drop_table("network_admins")
