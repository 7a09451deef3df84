"""VAT that was paid to the tax office."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "vat_payments"
down_revision = "transfers"

_STANDS = sa.text("undone_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "vat_payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("reference", sa.String(60), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("recorded_at", UTCDateTime(), nullable=False),
        sa.Column("undone_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("amount > 0", name="ck_vat_payments_positive"),
        sa.PrimaryKeyConstraint("id", name="pk_vat_payments"),
    )
    op.create_index(
        "one_vat_payment",
        "vat_payments",
        ["period", "reference"],
        unique=True,
        sqlite_where=_STANDS,
        postgresql_where=_STANDS,
    )


def downgrade() -> None:
    op.drop_table("vat_payments")
