"""Receipts and credit notes, numbered without gaps and never changed."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "receipts"
down_revision = "offline"

_NEXT = (
    "NEW.number <> 1 + (SELECT coalesce(max(number), 0) FROM receipts"
    " WHERE kind = NEW.kind AND year = NEW.year)"
)


def upgrade() -> None:
    op.create_table(
        "receipt_series",
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("year", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("last >= 0", name="ck_receipt_series_positive"),
        sa.PrimaryKeyConstraint("kind", "year", name="pk_receipt_series"),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("year", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", UTCDateTime(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("refund_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("kind IN ('receipt', 'credit_note')", name="ck_receipts_kind"),
        sa.CheckConstraint("(kind = 'credit_note') = (refund_id IS NOT NULL)", name="ck_receipts_refund"),
        sa.CheckConstraint("number > 0", name="ck_receipts_positive"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_receipts_payment_id_payments"),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name="fk_receipts_refund_id_refunds"),
        sa.PrimaryKeyConstraint("id", name="pk_receipts"),
        sa.UniqueConstraint("refund_id", name="uq_receipts_refund_id"),
    )
    op.create_index("uq_receipts_number", "receipts", ["kind", "year", "number"], unique=True)
    op.create_index("ix_receipts_payment_id", "receipts", ["payment_id"])
    op.create_index(
        "uq_receipts_payment",
        "receipts",
        ["payment_id"],
        unique=True,
        sqlite_where=sa.text("refund_id IS NULL"),
        postgresql_where=sa.text("refund_id IS NULL"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER receipts_keep_{verb.lower()} BEFORE {verb} ON receipts "
                "BEGIN SELECT RAISE(ABORT, 'receipts are never changed'); END"
            )
        op.execute(
            f"CREATE TRIGGER receipts_follow BEFORE INSERT ON receipts WHEN {_NEXT} "
            "BEGIN SELECT RAISE(ABORT, 'receipts are numbered without gaps'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION receipts_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'receipts are never changed' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER receipts_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON receipts "
        "FOR EACH STATEMENT EXECUTE FUNCTION receipts_keep()"
    )
    op.execute(
        f"CREATE FUNCTION receipts_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {_NEXT} THEN "
        "RAISE EXCEPTION 'receipts are numbered without gaps' USING ERRCODE = 'integrity_constraint_violation'; "
        "END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER receipts_follow BEFORE INSERT ON receipts FOR EACH ROW EXECUTE FUNCTION receipts_follow()"
    )


def downgrade() -> None:
    op.drop_table("receipts")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION receipts_keep()")
        op.execute("DROP FUNCTION receipts_follow()")
    op.drop_table("receipt_series")
