"""The journal, its rules and its balance rows.

Postings are written first, their entry last. The entry's trigger counts and sums them; after it nothing can be added,
changed or deleted. `journal_entries.size` closes the one gap that triggers leave on PostgreSQL: a posting written by
a transaction that could not see the entry yet is found out when that transaction commits.
"""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "ledger"
down_revision = "policies"

GUARDED = ("Liabilities:Pool", "Liabilities:Reserved")
APPEND_ONLY = ("journal_entries", "postings", "seals", "reference_lookups")

SQLITE = (
    """CREATE TRIGGER postings_come_first BEFORE INSERT ON postings
    WHEN EXISTS (SELECT 1 FROM journal_entries WHERE id = NEW.entry_id)
    BEGIN SELECT RAISE(ABORT, 'that entry is complete'); END""",
    # INSERT OR REPLACE deletes without firing delete triggers, so what exists is looked for here as well.
    """CREATE TRIGGER journal_entries_once BEFORE INSERT ON journal_entries
    WHEN EXISTS (SELECT 1 FROM journal_entries
                 WHERE id = NEW.id OR (source = NEW.source AND external_id = NEW.external_id))
    BEGIN SELECT RAISE(ABORT, 'that entry exists'); END""",
    """CREATE TRIGGER journal_entries_balance BEFORE INSERT ON journal_entries
    WHEN (SELECT count(*) <> NEW.size OR coalesce(sum(amount), 0) <> 0 FROM postings WHERE entry_id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'an entry wants all its postings, and their sum to be zero'); END""",
    """CREATE TRIGGER seals_once BEFORE INSERT ON seals
    WHEN EXISTS (SELECT 1 FROM seals WHERE seq = NEW.seq OR entry = NEW.entry)
    BEGIN SELECT RAISE(ABORT, 'that is sealed'); END""",
)

POSTGRESQL = (
    """CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the books are append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE FUNCTION ledger_postings_come_first() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM journal_entries WHERE id = NEW.entry_id) THEN
            RAISE EXCEPTION 'that entry is complete' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER postings_come_first BEFORE INSERT ON postings
    FOR EACH ROW EXECUTE FUNCTION ledger_postings_come_first()""",
    """CREATE FUNCTION ledger_entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        whole uuid := CASE TG_TABLE_NAME WHEN 'postings' THEN (to_jsonb(NEW)->>'entry_id')::uuid
                                         ELSE (to_jsonb(NEW)->>'id')::uuid END;
        wanted bigint;
        found_size bigint;
        found_sum numeric;
    BEGIN
        SELECT size INTO wanted FROM journal_entries WHERE id = whole;
        SELECT count(*), coalesce(sum(amount), 0) INTO found_size, found_sum FROM postings WHERE entry_id = whole;
        IF wanted IS DISTINCT FROM found_size OR found_sum <> 0 THEN
            RAISE EXCEPTION 'an entry wants all its postings, and their sum to be zero'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER journal_entries_balance AFTER INSERT ON journal_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_entry_balances()""",
    """CREATE CONSTRAINT TRIGGER postings_balance AFTER INSERT ON postings DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ledger_entry_balances()""",
)


def upgrade() -> None:
    op.create_table(
        "journal_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("external_id", sa.String(200), nullable=False),
        sa.Column("description", sa.String(300), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", UTCDateTime(), nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=True),
        sa.Column("person", sa.Uuid(), nullable=True),
        sa.CheckConstraint("size >= 2", name="ck_journal_entries_size"),
        sa.ForeignKeyConstraint(
            ["policy_version"],
            ["policy_versions.id"],
            name="fk_journal_entries_policy_version_policy_versions",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_journal_entries"),
        sa.UniqueConstraint("source", "external_id", name="uq_journal_entries_source_external_id"),
    )
    op.create_index("ix_journal_entries_date", "journal_entries", ["date"])
    op.create_index("ix_journal_entries_person", "journal_entries", ["person"])
    op.create_table(
        "postings",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("account", sa.String(120), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.CheckConstraint("amount <> 0", name="ck_postings_amount"),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["journal_entries.id"],
            name="fk_postings_entry_id_journal_entries",
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.PrimaryKeyConstraint("entry_id", "position", name="pk_postings"),
    )
    op.create_index("ix_postings_account", "postings", ["account"])
    balances = op.create_table(
        "ledger_balances",
        sa.Column("account", sa.String(120), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.CheckConstraint("amount >= 0", name="ck_ledger_balances_amount"),
        sa.PrimaryKeyConstraint("account", name="pk_ledger_balances"),
    )
    op.execute(balances.insert().values([{"account": name, "amount": sa.literal(0)} for name in GUARDED]))
    op.create_table(
        "person_references",
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name="pk_person_references"),
        sa.UniqueConstraint("account_id", name="uq_person_references_account_id"),
    )
    op.create_table(
        "reference_lookups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reference_lookups"),
    )
    op.create_index("ix_reference_lookups_reference", "reference_lookups", ["reference"])
    op.create_table(
        "seals",
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("entry", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["entry"], ["journal_entries.id"], name="fk_seals_entry_journal_entries"),
        sa.PrimaryKeyConstraint("seq", name="pk_seals"),
        sa.UniqueConstraint("entry", name="uq_seals_entry"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for rule in SQLITE:
            op.execute(rule)
        for table in APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'the books are append-only'); END"
                )
        return
    for rule in POSTGRESQL:
        op.execute(rule)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()"
        )


def downgrade() -> None:
    for table in (
        "seals",
        "reference_lookups",
        "person_references",
        "ledger_balances",
        "postings",
        "journal_entries",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for function in ("ledger_append_only", "ledger_postings_come_first", "ledger_entry_balances"):
            op.execute(f"DROP FUNCTION {function}()")
