"""Members and terms."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "membership"
down_revision = "stewardship"

# Terms come in order, each not before the one before it has ended: with the unique ordinal, two transactions that
# do not see each other cannot both add one, so there is no overlap on either engine. One that was given back before
# it began takes no time at all.
OUT_OF_ORDER = """
    NEW.ordinal <> 1 + (SELECT coalesce(max(ordinal), 0) FROM terms WHERE account_id = NEW.account_id)
    OR EXISTS (SELECT 1 FROM terms
               WHERE account_id = NEW.account_id AND coalesce(ended_early_at, ends) > NEW.begins
                 AND coalesce(ended_early_at, ends) > begins)
"""
FIXED = "id, account_id, ordinal, first_day, year, begins, ends, grace_until, price, policy_version"


def upgrade() -> None:
    op.create_table(
        "members",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("covered_until", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_members_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", name="pk_members"),
    )
    op.create_index("ix_members_covered_until", "members", ["covered_until"])
    op.create_table(
        "terms",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("begins", UTCDateTime(), nullable=False),
        sa.Column("ends", UTCDateTime(), nullable=False),
        sa.Column("grace_until", UTCDateTime(), nullable=False),
        sa.Column("price", MoneyType(), nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=False),
        sa.Column("ended_early_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("ends > begins", name="ck_terms_forward"),
        sa.CheckConstraint("grace_until >= ends", name="ck_terms_grace"),
        sa.CheckConstraint("ordinal >= 1 AND year >= 1", name="ck_terms_count"),
        sa.CheckConstraint("ended_early_at >= begins AND ended_early_at <= ends", name="ck_terms_early"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_terms_account_id_accounts"),
        sa.ForeignKeyConstraint(
            ["policy_version"], ["policy_versions.id"], name="fk_terms_policy_version_policy_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_terms"),
        sa.UniqueConstraint("account_id", "ordinal", name="uq_terms_account_id_ordinal"),
    )
    op.create_index("ix_terms_ends", "terms", ["ends"])
    op.create_table(
        "renewal_notices",
        sa.Column("term_id", sa.Uuid(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_renewal_notices_term_id_terms"),
        sa.PrimaryKeyConstraint("term_id", "days", name="pk_renewal_notices"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER terms_in_order BEFORE INSERT ON terms WHEN {OUT_OF_ORDER} "
            "BEGIN SELECT RAISE(ABORT, 'terms come in order and never overlap'); END"
        )
        op.execute(
            f"CREATE TRIGGER terms_fixed BEFORE UPDATE OF {FIXED} ON terms "
            "BEGIN SELECT RAISE(ABORT, 'a granted year is not changed'); END"
        )
        op.execute(
            "CREATE TRIGGER terms_end_once BEFORE UPDATE OF ended_early_at ON terms "
            "WHEN OLD.ended_early_at IS NOT NULL "
            "BEGIN SELECT RAISE(ABORT, 'a granted year is not changed'); END"
        )
        return
    op.execute(
        f"""CREATE FUNCTION terms_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {OUT_OF_ORDER} THEN
                RAISE EXCEPTION 'terms come in order and never overlap'
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END $$"""
    )
    op.execute(
        "CREATE TRIGGER terms_in_order BEFORE INSERT ON terms FOR EACH ROW EXECUTE FUNCTION terms_in_order()"
    )
    op.execute(
        """CREATE FUNCTION terms_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'a granted year is not changed' USING ERRCODE = 'integrity_constraint_violation';
        END $$"""
    )
    op.execute(
        f"CREATE TRIGGER terms_fixed BEFORE UPDATE OF {FIXED} ON terms "
        "FOR EACH ROW EXECUTE FUNCTION terms_fixed()"
    )
    op.execute(
        "CREATE TRIGGER terms_end_once BEFORE UPDATE OF ended_early_at ON terms "
        "FOR EACH ROW WHEN (OLD.ended_early_at IS NOT NULL) EXECUTE FUNCTION terms_fixed()"
    )


def downgrade() -> None:
    op.drop_table("renewal_notices")
    op.drop_table("terms")
    op.drop_table("members")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION terms_in_order()")
        op.execute("DROP FUNCTION terms_fixed()")
