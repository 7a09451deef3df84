"""Checkouts, Stripe events and idempotency keys."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "billing"
down_revision = "governance"

_LIVE = sa.text("state IN ('intended', 'open')")


def upgrade() -> None:
    op.create_table(
        "operations",
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(40), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("claimed_at", UTCDateTime(), nullable=False),
        sa.Column("leased_until", UTCDateTime(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_operations_account_id_accounts"),
        sa.PrimaryKeyConstraint("key", name="pk_operations"),
    )
    op.create_index("ix_operations_account_id", "operations", ["account_id"])
    op.create_table(
        "checkouts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(10), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("price", MoneyType(), nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("next_path", sa.Text(), nullable=False),
        sa.Column("begun_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("place_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("gateway_id", sa.String(255), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("amount > 0", name="ck_checkouts_positive"),
        sa.CheckConstraint("purpose IN ('dues', 'sponsor', 'gift')", name="ck_checkouts_purpose"),
        sa.CheckConstraint("state IN ('intended', 'open', 'paid', 'expired')", name="ck_checkouts_state"),
        sa.ForeignKeyConstraint(["key"], ["operations.key"], name="fk_checkouts_key_operations"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_checkouts_account_id_accounts"),
        sa.ForeignKeyConstraint(
            ["policy_version"], ["policy_versions.id"], name="fk_checkouts_policy_version_policy_versions"
        ),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name="fk_checkouts_place_id_places"),
        sa.PrimaryKeyConstraint("id", name="pk_checkouts"),
        sa.UniqueConstraint("key", name="uq_checkouts_key"),
        sa.UniqueConstraint("gateway_id", name="uq_checkouts_gateway_id"),
    )
    op.create_index("ix_checkouts_account_id", "checkouts", ["account_id"])
    op.create_index("ix_checkouts_live", "checkouts", ["state", "expires_at"])
    op.create_index(
        "one_live_checkout",
        "checkouts",
        ["account_id"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("gateway_id", sa.String(255), nullable=False),
        sa.Column("purpose", sa.String(10), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("price", MoneyType(), nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("subscription", sa.String(255), nullable=True),
        sa.Column("term_id", sa.Uuid(), nullable=True),
        sa.Column("settlement", sa.String(255), nullable=True),
        sa.Column("fee", MoneyType(), nullable=True),
        sa.Column("refunded", MoneyType(), nullable=False),
        sa.Column("disputed", MoneyType(), nullable=False),
        sa.CheckConstraint("amount > 0", name="ck_payments_positive"),
        sa.CheckConstraint("purpose IN ('dues', 'sponsor', 'gift')", name="ck_payments_purpose"),
        sa.CheckConstraint(
            "refunded BETWEEN 0 AND amount AND disputed BETWEEN 0 AND amount", name="ck_payments_bounded"
        ),
        sa.CheckConstraint("(settlement IS NULL) = (fee IS NULL)", name="ck_payments_settled"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_payments_account_id_accounts"),
        sa.ForeignKeyConstraint(
            ["policy_version"], ["policy_versions.id"], name="fk_payments_policy_version_policy_versions"
        ),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_payments_term_id_terms"),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
        sa.UniqueConstraint("gateway_id", name="uq_payments_gateway_id"),
        sa.UniqueConstraint("term_id", name="uq_payments_term_id"),
        sa.UniqueConstraint("settlement", name="uq_payments_settlement"),
    )
    op.create_index("ix_payments_account_id", "payments", ["account_id"])
    op.create_index("ix_payments_received_at", "payments", ["received_at"])
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("begun_at", UTCDateTime(), nullable=False),
        sa.Column("status", sa.String(30), nullable=False),
        sa.Column("stops", sa.Boolean(), nullable=False),
        sa.Column("wish", sa.String(10), nullable=False),
        sa.CheckConstraint("wish IN ('renew', 'stop', 'stop_now')", name="ck_subscriptions_wish"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_subscriptions_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_subscriptions"),
    )
    op.create_index("ix_subscriptions_account_id", "subscriptions", ["account_id"])
    op.create_table(
        "refunds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("intended_at", UTCDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("gateway_id", sa.String(255), nullable=True),
        sa.CheckConstraint("amount > 0", name="ck_refunds_positive"),
        sa.CheckConstraint("state IN ('intended', 'sent', 'failed')", name="ck_refunds_state"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_refunds_payment_id_payments"),
        sa.PrimaryKeyConstraint("id", name="pk_refunds"),
        sa.UniqueConstraint("gateway_id", name="uq_refunds_gateway_id"),
    )
    op.create_index("ix_refunds_payment_id", "refunds", ["payment_id"])
    op.create_index("ix_refunds_state", "refunds", ["state"])
    op.create_table(
        "disputes",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("fee", MoneyType(), nullable=False),
        sa.Column("opened_at", UTCDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("closed_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("amount > 0 AND fee >= 0", name="ck_disputes_amounts"),
        sa.CheckConstraint("state IN ('open', 'won', 'lost')", name="ck_disputes_state"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_disputes_payment_id_payments"),
        sa.PrimaryKeyConstraint("id", name="pk_disputes"),
    )
    op.create_index("ix_disputes_payment_id", "disputes", ["payment_id"])
    op.create_table(
        "stripe_events",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("object_id", sa.String(255), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stripe_events"),
    )
    op.create_index("ix_stripe_events_received_at", "stripe_events", ["received_at"])


def downgrade() -> None:
    for table in (
        "stripe_events",
        "disputes",
        "refunds",
        "subscriptions",
        "payments",
        "checkouts",
        "operations",
    ):
        op.drop_table(table)
