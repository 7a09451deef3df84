"""Obstacles to a new year, and disputes that are settled."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "renewals"
down_revision = "organisations"


def upgrade() -> None:
    op.create_table(
        "obstacles",
        sa.Column("source", sa.String(300), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_obstacles_account_id_accounts"),
        sa.PrimaryKeyConstraint("source", name="pk_obstacles"),
    )
    op.create_index("ix_obstacles_account_id", "obstacles", ["account_id"])
    with op.batch_alter_table("disputes") as disputes:
        disputes.add_column(sa.Column("settled_at", UTCDateTime(), nullable=True))
        disputes.create_check_constraint("ck_disputes_settled", "settled_at IS NULL OR state = 'lost'")
    op.execute(
        "INSERT INTO obstacles (source, account_id, since) "
        "SELECT 'dispute:' || disputes.id, payments.account_id, disputes.opened_at FROM disputes "
        "JOIN payments ON payments.id = disputes.payment_id WHERE disputes.state IN ('open', 'lost')"
    )


def downgrade() -> None:
    with op.batch_alter_table("disputes") as disputes:
        disputes.drop_constraint("ck_disputes_settled", type_="check")
        disputes.drop_column("settled_at")
    op.drop_table("obstacles")
