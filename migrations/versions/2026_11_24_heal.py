"""Reconciliation with Stripe: how far its lists were read, what each run did, and what differs."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "heal"
down_revision = "instalments"

_OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    op.create_table(
        "stripe_streams",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=True),
        sa.Column("until", UTCDateTime(), nullable=True),
        sa.Column("after", sa.String(255), nullable=True),
        sa.Column("done_until", UTCDateTime(), nullable=True),
        sa.CheckConstraint("(since IS NULL) = (until IS NULL)", name="ck_stripe_streams_under_way"),
        sa.CheckConstraint("after IS NULL OR since IS NOT NULL", name="ck_stripe_streams_place"),
        sa.CheckConstraint("since <= until", name="ck_stripe_streams_forward"),
        sa.PrimaryKeyConstraint("name", name="pk_stripe_streams"),
    )
    op.create_table(
        "stripe_reconciliations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("began_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("looked", sa.BigInteger(), nullable=False),
        sa.Column("healed", sa.BigInteger(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger(), nullable=False),
        sa.Column("still_open", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.String(500), nullable=False),
        sa.CheckConstraint(
            "looked >= 0 AND healed >= 0 AND opened >= 0 AND closed >= 0 AND still_open >= 0",
            name="ck_stripe_reconciliations_counts",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stripe_reconciliations"),
    )
    op.create_index("ix_stripe_reconciliations_began_at", "stripe_reconciliations", ["began_at"])
    op.create_table(
        "stripe_differences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("object_id", sa.String(255), nullable=False),
        sa.Column("at_stripe", MoneyType(), nullable=True),
        sa.Column("in_books", MoneyType(), nullable=True),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("proposed", sa.Text(), nullable=True),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("closed_at", UTCDateTime(), nullable=True),
        sa.Column("proposal_id", sa.Uuid(), nullable=True),
        sa.Column("entry_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'gone', 'settled', 'accepted')", name="ck_stripe_differences_state"
        ),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="ck_stripe_differences_closed"),
        sa.CheckConstraint(
            "(state IN ('settled', 'accepted')) = (proposal_id IS NOT NULL)",
            name="ck_stripe_differences_two_people",
        ),
        sa.CheckConstraint(
            "(state = 'settled') = (entry_id IS NOT NULL)", name="ck_stripe_differences_entry"
        ),
        sa.ForeignKeyConstraint(
            ["proposal_id"], ["proposals.id"], name="fk_stripe_differences_proposal_id_proposals"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["journal_entries.id"], name="fk_stripe_differences_entry_id_journal_entries"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stripe_differences"),
        sa.UniqueConstraint("proposal_id", name="uq_stripe_differences_proposal_id"),
        sa.UniqueConstraint("entry_id", name="uq_stripe_differences_entry_id"),
    )
    op.create_index(
        "uq_stripe_differences_open",
        "stripe_differences",
        ["kind", "object_id"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index("ix_stripe_differences_object_id", "stripe_differences", ["object_id"])


def downgrade() -> None:
    op.drop_table("stripe_differences")
    op.drop_table("stripe_reconciliations")
    op.drop_table("stripe_streams")
