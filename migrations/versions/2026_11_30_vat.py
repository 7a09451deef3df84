"""VAT in dues: the rate of each year, and the lines that say whose VAT was booked and given back."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType

revision = "vat"
down_revision = "unlocked_tokens"

_FIXED = "id, account_id, ordinal, first_day, year, begins, ends, grace_until, price, policy_version"
# Of one year and one payment (or the pool's part) no more goes back than arose.
_OVERDRAWN = """NEW.dues < 0 AND EXISTS (
    SELECT 1 FROM (
        SELECT coalesce(sum(dues), 0) AS dues, coalesce(sum(vat), 0) AS vat FROM vat_lines
        WHERE (term_id = NEW.term_id OR (term_id IS NULL AND NEW.term_id IS NULL))
        AND (payment_id = NEW.payment_id OR (payment_id IS NULL AND NEW.payment_id IS NULL))
        AND rate = NEW.rate
    ) AS standing WHERE standing.dues + NEW.dues < 0 OR standing.vat + NEW.vat < 0
)"""
_KEPT = "lines of VAT are never changed or deleted"
_MORE = "no more VAT goes back than arose"


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    # Not by a copy of the table: that would lose its triggers on SQLite.
    op.execute(
        "ALTER TABLE terms ADD COLUMN vat_rate SMALLINT DEFAULT 0 NOT NULL "
        "CONSTRAINT ck_terms_vat CHECK (vat_rate >= 0)"
    )
    op.execute("ALTER TABLE imported_memberships ADD COLUMN vat_rate SMALLINT DEFAULT 0 NOT NULL")
    _fix_terms(f"{_FIXED}, vat_rate")
    op.create_table(
        "vat_lines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("rate", sa.SmallInteger(), nullable=False),
        sa.Column("dues", MoneyType(), nullable=False),
        sa.Column("vat", MoneyType(), nullable=False),
        sa.Column("term_id", sa.Uuid(), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("refund_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("rate > 0", name="ck_vat_lines_rate"),
        sa.CheckConstraint(
            "(dues > 0 AND vat BETWEEN 0 AND dues) OR (dues < 0 AND vat BETWEEN dues AND 0)",
            name="ck_vat_lines_within",
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["journal_entries.id"], name="fk_vat_lines_entry_id_journal_entries"
        ),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_vat_lines_term_id_terms"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_vat_lines_payment_id_payments"),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name="fk_vat_lines_refund_id_refunds"),
        sa.PrimaryKeyConstraint("id", name="pk_vat_lines"),
    )
    for column in ("entry_id", "term_id", "payment_id", "refund_id"):
        op.create_index(f"ix_vat_lines_{column}", "vat_lines", [column])
    if sqlite:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER vat_lines_keep_{verb.lower()} BEFORE {verb} ON vat_lines "
                f"BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END"
            )
        op.execute(
            f"CREATE TRIGGER vat_lines_bounded BEFORE INSERT ON vat_lines WHEN {_OVERDRAWN} "
            f"BEGIN SELECT RAISE(ABORT, '{_MORE}'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION vat_lines_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{_KEPT}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER vat_lines_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON vat_lines "
        "FOR EACH STATEMENT EXECUTE FUNCTION vat_lines_keep()"
    )
    op.execute(
        f"CREATE FUNCTION vat_lines_bounded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {_OVERDRAWN} THEN "
        f"RAISE EXCEPTION '{_MORE}' USING ERRCODE = 'integrity_constraint_violation'; END IF; "
        "RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER vat_lines_bounded BEFORE INSERT ON vat_lines "
        "FOR EACH ROW EXECUTE FUNCTION vat_lines_bounded()"
    )


def downgrade() -> None:
    op.drop_table("vat_lines")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION vat_lines_bounded()")
        op.execute("DROP FUNCTION vat_lines_keep()")
    _fix_terms(_FIXED)
    op.execute("ALTER TABLE imported_memberships DROP COLUMN vat_rate")
    op.execute("ALTER TABLE terms DROP COLUMN vat_rate")


def _fix_terms(columns: str) -> None:
    """Guard what is fixed of a granted year anew."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER terms_fixed")
        op.execute(
            f"CREATE TRIGGER terms_fixed BEFORE UPDATE OF {columns} ON terms "
            "BEGIN SELECT RAISE(ABORT, 'a granted year is not changed'); END"
        )
        return
    op.execute("DROP TRIGGER terms_fixed ON terms")
    op.execute(
        f"CREATE TRIGGER terms_fixed BEFORE UPDATE OF {columns} ON terms "
        "FOR EACH ROW EXECUTE FUNCTION terms_fixed()"
    )
