"""Gifts that wait, freeze and go back; the pool as of each morning; monthly gifts; institutions that sponsor."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "sponsors"
down_revision = "imports"

_STATES = "state IN ('waiting', {more}'claimed', 'returned'{after})"
_BOUGHT = """
UPDATE gifts SET payment_id = (
    SELECT payments.id FROM payments
    WHERE payments.account_id = gifts.account_id AND payments.purpose = 'gift'
    AND payments.received_at = gifts.bought_at
)
"""
"""A gift and its payment were written in one unit of work, and so at one instant."""


def upgrade() -> None:
    op.add_column("gifts", sa.Column("payment_id", sa.Uuid(), nullable=True))
    op.add_column("gifts", sa.Column("kept_for", sa.Uuid(), nullable=True))
    op.execute(_BOUGHT)
    with op.batch_alter_table("gifts") as gifts:
        gifts.create_foreign_key("fk_gifts_payment_id_payments", "payments", ["payment_id"], ["id"])
        gifts.create_foreign_key("fk_gifts_kept_for_accounts", "accounts", ["kept_for"], ["id"])
        gifts.create_unique_constraint("uq_gifts_payment_id", ["payment_id"])
        gifts.drop_constraint("ck_gifts_state", type_="check")
        gifts.drop_constraint("ck_gifts_claimed", type_="check")
        gifts.create_check_constraint(
            "ck_gifts_state", _STATES.format(more="'frozen', 'kept', ", after=", 'taken_back', 'void'")
        )
        gifts.create_check_constraint(
            "ck_gifts_claimed", "(state IN ('kept', 'claimed')) = (claimed_at IS NOT NULL)"
        )
        gifts.create_check_constraint("ck_gifts_kept", "(state = 'kept') = (kept_for IS NOT NULL)")
    op.create_index("one_kept_gift", "gifts", ["kept_for"], unique=True)
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_gifts_waiting", "gifts", ["expires_at"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_table(
        "pool_mornings",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("free", MoneyType(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_pool_mornings"),
    )
    op.create_table(
        "institutions",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("introduced_at", UTCDateTime(), nullable=False),
        sa.Column("confirmed_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("(confirmed_at IS NULL) OR named", name="ck_institutions_confirmed"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 100", name="ck_institutions_name"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_institutions_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", name="pk_institutions"),
    )
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.add_column(sa.Column("purpose", sa.String(10), nullable=False, server_default="dues"))
        subscriptions.create_check_constraint("ck_subscriptions_purpose", "purpose IN ('dues', 'sponsor')")


def downgrade() -> None:
    op.execute("DELETE FROM subscriptions WHERE purpose = 'sponsor'")
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.drop_constraint("ck_subscriptions_purpose", type_="check")
        subscriptions.drop_column("purpose")
    op.drop_table("institutions")
    op.drop_table("pool_mornings")
    op.drop_index("ix_gifts_waiting", "gifts")
    op.drop_index("one_kept_gift", "gifts")
    with op.batch_alter_table("gifts") as gifts:
        for name in ("kept", "claimed", "state"):
            gifts.drop_constraint(f"ck_gifts_{name}", type_="check")
        gifts.drop_constraint("uq_gifts_payment_id", type_="unique")
        gifts.drop_constraint("fk_gifts_payment_id_payments", type_="foreignkey")
        gifts.drop_constraint("fk_gifts_kept_for_accounts", type_="foreignkey")
        gifts.drop_column("kept_for")
        gifts.drop_column("payment_id")
        gifts.create_check_constraint("ck_gifts_state", _STATES.format(more="", after=""))
        gifts.create_check_constraint("ck_gifts_claimed", "(state = 'claimed') = (claimed_at IS NOT NULL)")
