"""Bank transfers for a household and for a gift: the years of a household are written down with a transfer as well."""

import sqlalchemy as sa
from alembic import op

revision = "transfers"
down_revision = "places"

_ORIGIN = (
    "(checkout_id IS NULL OR transfer_id IS NULL) "
    "AND (checkout_id IS NOT NULL OR transfer_id IS NOT NULL OR payment_id IS NOT NULL)"
)


def upgrade() -> None:
    _purposes("purpose IN ('dues', 'household', 'sponsor', 'gift')")
    with op.batch_alter_table("household_years") as years:
        years.alter_column("checkout_id", existing_type=sa.Uuid(), nullable=True)
        years.add_column(sa.Column("transfer_id", sa.Uuid(), nullable=True))
        years.create_foreign_key(
            "fk_household_years_transfer_id_transfers", "transfers", ["transfer_id"], ["id"]
        )
        years.create_unique_constraint(
            "uq_household_years_transfer_id_account_id", ["transfer_id", "account_id"]
        )
        years.create_check_constraint("ck_household_years_origin", _ORIGIN)


def downgrade() -> None:
    # What was paid stays paid: the years go, and their terms are their members'.
    op.execute("DELETE FROM household_years WHERE checkout_id IS NULL")
    op.execute("UPDATE transfers SET purpose = 'sponsor' WHERE purpose = 'gift' AND state <> 'open'")
    op.execute("UPDATE transfers SET purpose = 'dues' WHERE purpose = 'household' AND state <> 'open'")
    op.execute("DELETE FROM transfers WHERE purpose IN ('household', 'gift')")
    with op.batch_alter_table("household_years") as years:
        years.drop_constraint("ck_household_years_origin", type_="check")
        years.drop_constraint("uq_household_years_transfer_id_account_id", type_="unique")
        years.drop_constraint("fk_household_years_transfer_id_transfers", type_="foreignkey")
        years.drop_column("transfer_id")
        years.alter_column("checkout_id", existing_type=sa.Uuid(), nullable=False)
    _purposes("purpose IN ('dues', 'sponsor')")


def _purposes(condition: str) -> None:
    with op.batch_alter_table("transfers") as transfers:
        transfers.drop_constraint("ck_transfers_purpose", type_="check")
        transfers.create_check_constraint("ck_transfers_purpose", condition)
