"""Renewals that pause, change their amount and know their next charge; kept cards; operations that may be forgotten."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "wishes"
down_revision = "renewals"


def upgrade() -> None:
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.add_column(sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.false()))
        subscriptions.add_column(sa.Column("charges", MoneyType(), nullable=True))
        subscriptions.add_column(sa.Column("next_charge", UTCDateTime(), nullable=True))
        subscriptions.drop_constraint("ck_subscriptions_wish", type_="check")
        subscriptions.create_check_constraint(
            "ck_subscriptions_wish", "wish IN ('renew', 'pause', 'finish', 'stop', 'stop_now')"
        )
    with op.batch_alter_table("checkouts") as checkouts:
        checkouts.drop_constraint("fk_checkouts_key_operations", type_="foreignkey")
    op.create_index("ix_operations_claimed_at", "operations", ["claimed_at"])
    op.create_table(
        "customers",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("gateway_id", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_customers_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", name="pk_customers"),
        sa.UniqueConstraint("gateway_id", name="uq_customers_gateway_id"),
    )
    op.create_table(
        "card_visits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("next_path", sa.Text(), nullable=False),
        sa.Column("begun_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("gateway_id", sa.String(255), nullable=True),
        sa.Column("customer", sa.String(255), nullable=True),
        sa.Column("card", sa.String(255), nullable=True),
        sa.CheckConstraint("state IN ('open', 'kept', 'used', 'expired')", name="ck_card_visits_state"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_card_visits_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_card_visits"),
        sa.UniqueConstraint("key", name="uq_card_visits_key"),
        sa.UniqueConstraint("gateway_id", name="uq_card_visits_gateway_id"),
    )
    op.create_index("ix_card_visits_account_id", "card_visits", ["account_id"])
    op.create_index("ix_card_visits_state", "card_visits", ["state"])


def downgrade() -> None:
    op.drop_table("card_visits")
    op.drop_table("customers")
    op.drop_index("ix_operations_claimed_at", "operations")
    # Keys that were forgotten come back as answered long ago.
    op.execute(
        sa.text(
            "INSERT INTO operations (key, account_id, purpose, fingerprint, claimed_at, leased_until, answer) "
            "SELECT key, account_id, 'checkout', :nothing, begun_at, begun_at, '/account' FROM checkouts "
            "WHERE key NOT IN (SELECT key FROM operations)"
        ).bindparams(nothing=b"")
    )
    op.execute("UPDATE subscriptions SET wish = 'stop' WHERE wish = 'pause'")
    with op.batch_alter_table("checkouts") as checkouts:
        checkouts.create_foreign_key("fk_checkouts_key_operations", "operations", ["key"], ["key"])
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.drop_constraint("ck_subscriptions_wish", type_="check")
        subscriptions.create_check_constraint(
            "ck_subscriptions_wish", "wish IN ('renew', 'finish', 'stop', 'stop_now')"
        )
        subscriptions.drop_column("next_charge")
        subscriptions.drop_column("charges")
        subscriptions.drop_column("paused")
