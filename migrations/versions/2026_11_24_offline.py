"""Payments by bank transfer and in cash: announced transfers, credits of the bank account."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "offline"
down_revision = "sponsors"


def upgrade() -> None:
    with op.batch_alter_table("payments") as payments:
        payments.add_column(sa.Column("method", sa.String(10), nullable=False, server_default="card"))
        payments.create_check_constraint("ck_payments_method", "method IN ('card', 'bank', 'cash')")
        payments.create_check_constraint("ck_payments_at_hand", "method = 'card' OR settlement IS NOT NULL")
    op.create_table(
        "transfers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(25), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(10), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("price", MoneyType(), nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=False),
        sa.Column("asked_at", UTCDateTime(), nullable=False),
        sa.Column("valid_until", UTCDateTime(), nullable=False),
        sa.Column("place_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("amount > 0", name="ck_transfers_positive"),
        sa.CheckConstraint("purpose IN ('dues', 'sponsor')", name="ck_transfers_purpose"),
        sa.CheckConstraint("state IN ('open', 'paid', 'withdrawn', 'expired')", name="ck_transfers_state"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_transfers_account_id_accounts"),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name="fk_transfers_place_id_places"),
        sa.ForeignKeyConstraint(
            ["policy_version"], ["policy_versions.id"], name="fk_transfers_policy_version_policy_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
        sa.UniqueConstraint("reference", name="uq_transfers_reference"),
    )
    op.create_index(
        "one_open_transfer",
        "transfers",
        ["account_id", "purpose"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_transfers_open", "transfers", ["state", "valid_until"])
    op.create_table(
        "bank_transactions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        sa.Column("payer", sa.String(140), nullable=False),
        sa.Column("payer_account", sa.String(64), nullable=False),
        sa.Column("imported_at", UTCDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("why", sa.String(30), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("amount > 0", name="ck_bank_transactions_positive"),
        sa.CheckConstraint(
            "state IN ('new', 'unmatched', 'matched', 'given', 'returning', 'returned', 'aside')",
            name="ck_bank_transactions_state",
        ),
        sa.CheckConstraint(
            "(state = 'matched') = (payment_id IS NOT NULL)", name="ck_bank_transactions_matched"
        ),
        sa.CheckConstraint("state <> 'unmatched' OR why IS NOT NULL", name="ck_bank_transactions_reasoned"),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name="fk_bank_transactions_payment_id_payments"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_bank_transactions"),
        sa.UniqueConstraint("key", name="uq_bank_transactions_key"),
        sa.UniqueConstraint("payment_id", name="uq_bank_transactions_payment_id"),
    )
    _open = sa.text("state IN ('new', 'unmatched', 'returning')")
    op.create_index(
        "ix_bank_transactions_open",
        "bank_transactions",
        ["state", "booked_on"],
        sqlite_where=_open,
        postgresql_where=_open,
    )


def downgrade() -> None:
    op.drop_table("bank_transactions")
    op.drop_table("transfers")
    with op.batch_alter_table("payments") as payments:
        payments.drop_constraint("ck_payments_at_hand", type_="check")
        payments.drop_constraint("ck_payments_method", type_="check")
        payments.drop_column("method")
