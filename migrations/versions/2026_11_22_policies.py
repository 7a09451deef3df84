"""Policies and their versions."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "policies"
down_revision = "ground"


def upgrade() -> None:
    op.create_table(
        "policy_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("replaces", sa.String(64), nullable=True),
        sa.Column("act", sa.String(50), nullable=False),
        sa.Column("adopted_at", UTCDateTime(), nullable=False),
        sa.Column("effective_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint("number >= 1", name="ck_policy_versions_number"),
        sa.CheckConstraint("(number = 1) = (replaces IS NULL)", name="ck_policy_versions_chain"),
        sa.CheckConstraint(
            "act = 'founding' OR act LIKE 'motion:%' OR act LIKE 'emergency:%'", name="ck_policy_versions_act"
        ),
        sa.ForeignKeyConstraint(
            ["replaces"], ["policy_versions.hash"], name="fk_policy_versions_replaces_policy_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_policy_versions"),
        sa.UniqueConstraint("hash", name="uq_policy_versions_hash"),
        sa.UniqueConstraint("kind", "number", name="uq_policy_versions_kind_number"),
        sa.UniqueConstraint("kind", "replaces", name="uq_policy_versions_kind_replaces"),
    )
    op.create_index("ix_policy_versions_effective_at", "policy_versions", ["effective_at"])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER policy_versions_no_{verb.lower()} BEFORE {verb} ON policy_versions "
                "BEGIN SELECT RAISE(ABORT, 'law is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION policy_versions_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'law is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER policy_versions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_versions "
        "FOR EACH STATEMENT EXECUTE FUNCTION policy_versions_append_only()"
    )


def downgrade() -> None:
    op.drop_table("policy_versions")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION policy_versions_append_only()")
