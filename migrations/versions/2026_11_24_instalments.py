"""Years paid by instalments."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "instalments"
down_revision = "pool"

_PURPOSES = "purpose IN ('dues', 'instalment', 'sponsor', 'gift')"
_OLD_PURPOSES = "purpose IN ('dues', 'sponsor', 'gift')"
_WISHES = "wish IN ('renew', 'finish', 'stop', 'stop_now')"
_OLD_WISHES = "wish IN ('renew', 'stop', 'stop_now')"


def upgrade() -> None:
    op.create_table(
        "instalment_plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("term_id", sa.Uuid(), nullable=False),
        sa.Column("subscription", sa.String(255), nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("each", MoneyType(), nullable=False),
        sa.Column("due", MoneyType(), nullable=False),
        sa.Column("begun_at", UTCDateTime(), nullable=False),
        sa.Column("next_at", UTCDateTime(), nullable=True),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.CheckConstraint("count IN (2, 3, 4, 6, 12)", name="ck_instalment_plans_count"),
        sa.CheckConstraint(
            "each > 0 AND due > 0 AND due <= count * each", name="ck_instalment_plans_amounts"
        ),
        sa.CheckConstraint(
            "paid BETWEEN 0 AND count AND (state <> 'paid' OR paid = count)", name="ck_instalment_plans_paid"
        ),
        sa.CheckConstraint(
            "state IN ('running', 'paid', 'defaulted', 'ended')", name="ck_instalment_plans_state"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_instalment_plans_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_instalment_plans_term_id_terms"),
        sa.ForeignKeyConstraint(
            ["policy_version"],
            ["policy_versions.id"],
            name="fk_instalment_plans_policy_version_policy_versions",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_instalment_plans"),
        sa.UniqueConstraint("term_id", name="uq_instalment_plans_term_id"),
        sa.UniqueConstraint("subscription", name="uq_instalment_plans_subscription"),
    )
    op.create_index("ix_instalment_plans_account_id", "instalment_plans", ["account_id"])
    op.create_index("ix_instalment_plans_next_at", "instalment_plans", ["next_at"])
    with op.batch_alter_table("checkouts") as checkouts:
        checkouts.add_column(sa.Column("instalments", sa.BigInteger(), nullable=False, server_default="0"))
        checkouts.create_check_constraint(
            "ck_checkouts_instalments", "instalments = 0 OR amount % instalments = 0"
        )
    with op.batch_alter_table("checkouts") as checkouts:
        checkouts.alter_column("instalments", server_default=None)
    _replace("payments", "ck_payments_purpose", _PURPOSES)
    _replace("subscriptions", "ck_subscriptions_wish", _WISHES)


def downgrade() -> None:
    op.execute("UPDATE subscriptions SET wish = 'stop' WHERE wish = 'finish'")
    op.execute("UPDATE payments SET purpose = 'dues' WHERE purpose = 'instalment'")
    _replace("subscriptions", "ck_subscriptions_wish", _OLD_WISHES)
    _replace("payments", "ck_payments_purpose", _OLD_PURPOSES)
    with op.batch_alter_table("checkouts") as checkouts:
        checkouts.drop_constraint("ck_checkouts_instalments", type_="check")
        checkouts.drop_column("instalments")
    op.drop_table("instalment_plans")


def _replace(table: str, name: str, condition: str) -> None:
    with op.batch_alter_table(table) as rows:
        rows.drop_constraint(name, type_="check")
        rows.create_check_constraint(name, condition)
