"""Organisations: accounts that stand for no person."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "organisations"
down_revision = "households"


def upgrade() -> None:
    op.create_table(
        "organisations",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_organisations_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", name="pk_organisations"),
    )


def downgrade() -> None:
    op.drop_table("organisations")
