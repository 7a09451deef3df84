"""Memberships that another tool was paid for, kept for whoever confirms the address that they were under."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "imports"
down_revision = "heal"


def upgrade() -> None:
    op.create_table(
        "imported_memberships",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("external_id", sa.String(200), nullable=False),
        sa.Column("email_digest", sa.LargeBinary(32), nullable=True),
        sa.Column("paid_until", sa.Date(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("months", sa.BigInteger(), nullable=False),
        sa.Column("price", MoneyType(), nullable=False),
        sa.Column("owed", MoneyType(), nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=False),
        sa.Column("imported_at", UTCDateTime(), nullable=False),
        sa.Column("subscription", sa.String(255), nullable=True),
        sa.Column("amount", MoneyType(), nullable=True),
        sa.Column("stops", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("term_id", sa.Uuid(), nullable=True),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'claimed', 'credited', 'expired')", name="ck_imported_memberships_state"
        ),
        sa.CheckConstraint(
            "(state IN ('claimed', 'credited')) = (account_id IS NOT NULL)",
            name="ck_imported_memberships_owner",
        ),
        sa.CheckConstraint(
            "(state = 'claimed') = (term_id IS NOT NULL)", name="ck_imported_memberships_term"
        ),
        sa.CheckConstraint(
            "(state = 'waiting') = (email_digest IS NOT NULL)", name="ck_imported_memberships_address"
        ),
        sa.CheckConstraint(
            "months BETWEEN 0 AND 12 AND owed >= 0 AND owed <= price", name="ck_imported_memberships_bounded"
        ),
        sa.ForeignKeyConstraint(
            ["policy_version"],
            ["policy_versions.id"],
            name="fk_imported_memberships_policy_version_policy_versions",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_imported_memberships_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_imported_memberships_term_id_terms"),
        sa.PrimaryKeyConstraint("id", name="pk_imported_memberships"),
        sa.UniqueConstraint("source", "external_id", name="uq_imported_memberships_source_external_id"),
        sa.UniqueConstraint("subscription", name="uq_imported_memberships_subscription"),
        sa.UniqueConstraint("term_id", name="uq_imported_memberships_term_id"),
    )
    for columns in (["email_digest"], ["account_id"]):
        op.create_index(f"ix_imported_memberships_{columns[0]}", "imported_memberships", columns)
    op.create_index("ix_imported_memberships_waiting", "imported_memberships", ["state", "paid_until"])


def downgrade() -> None:
    op.drop_table("imported_memberships")
