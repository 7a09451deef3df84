"""Households: people one of whom pays for all."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "households"
down_revision = "receipts"

_CHECKOUTS = "purpose IN ('dues', 'household', 'sponsor', 'gift')"
_OLD_CHECKOUTS = "purpose IN ('dues', 'sponsor', 'gift')"
_PAYMENTS = "purpose IN ('dues', 'household', 'instalment', 'sponsor', 'gift')"
_OLD_PAYMENTS = "purpose IN ('dues', 'instalment', 'sponsor', 'gift')"


def upgrade() -> None:
    op.create_table(
        "households",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payer_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("size >= 1", name="ck_households_size"),
        sa.ForeignKeyConstraint(["payer_id"], ["accounts.id"], name="fk_households_payer_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_households"),
        sa.UniqueConstraint("payer_id", name="uq_households_payer_id"),
    )
    op.create_table(
        "household_members",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("joined_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_household_members_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name="fk_household_members_household_id_households"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_household_members"),
    )
    op.create_index("ix_household_members_household_id", "household_members", ["household_id"])
    op.create_table(
        "household_invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("made_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'accepted', 'withdrawn')", name="ck_household_invitations_state"
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["households.id"], name="fk_household_invitations_household_id_households"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_household_invitations"),
        sa.UniqueConstraint("digest", name="uq_household_invitations_digest"),
    )
    op.create_index("ix_household_invitations_household_id", "household_invitations", ["household_id"])
    op.create_table(
        "household_years",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("checkout_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("price", MoneyType(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("term_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("amount > 0 AND price > 0", name="ck_household_years_amounts"),
        sa.CheckConstraint("term_id IS NULL OR payment_id IS NOT NULL", name="ck_household_years_paid"),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkouts.id"], name="fk_household_years_checkout_id_checkouts"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_household_years_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name="fk_household_years_payment_id_payments"
        ),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_household_years_term_id_terms"),
        sa.PrimaryKeyConstraint("id", name="pk_household_years"),
        sa.UniqueConstraint("checkout_id", "account_id", name="uq_household_years_checkout_id_account_id"),
        sa.UniqueConstraint("term_id", name="uq_household_years_term_id"),
    )
    op.create_index("ix_household_years_account_id", "household_years", ["account_id"])
    op.create_index("ix_household_years_payment_id", "household_years", ["payment_id"])
    with op.batch_alter_table("pool_reservations") as reservations:
        reservations.add_column(
            sa.Column("first_places", sa.BigInteger(), nullable=False, server_default="0")
        )
    with op.batch_alter_table("pool_reservations") as reservations:
        reservations.alter_column("first_places", server_default=None)
    _replace("checkouts", "ck_checkouts_purpose", _CHECKOUTS)
    _replace("payments", "ck_payments_purpose", _PAYMENTS)


def downgrade() -> None:
    op.drop_table("household_years")
    op.execute("UPDATE payments SET purpose = 'dues' WHERE purpose = 'household'")
    op.execute("UPDATE checkouts SET purpose = 'dues' WHERE purpose = 'household'")
    _replace("payments", "ck_payments_purpose", _OLD_PAYMENTS)
    _replace("checkouts", "ck_checkouts_purpose", _OLD_CHECKOUTS)
    with op.batch_alter_table("pool_reservations") as reservations:
        reservations.drop_column("first_places")
    op.drop_table("household_invitations")
    op.drop_table("household_members")
    op.drop_table("households")


def _replace(table: str, name: str, condition: str) -> None:
    with op.batch_alter_table(table) as rows:
        rows.drop_constraint(name, type_="check")
        rows.create_check_constraint(name, condition)
