"""Outbox, clock offset and the demo's mailbox."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "ground"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("dedupe_key", sa.String(200), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", UTCDateTime(), nullable=True),
        sa.Column("done_at", UTCDateTime(), nullable=True),
        sa.Column("failure", sa.String(200), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("dedupe_key", name="uq_outbox_dedupe_key"),
    )
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])
    op.create_table(
        "clock_offset",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_clock_offset_one_row"),
        sa.CheckConstraint("seconds >= 0", name="ck_clock_offset_forward"),
        sa.PrimaryKeyConstraint("id", name="pk_clock_offset"),
    )
    op.create_table(
        "mailbox",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("arrived_at", UTCDateTime(), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("subject", sa.String(998), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mailbox"),
        sa.UniqueConstraint("key", name="uq_mailbox_key"),
    )
    op.create_index("ix_mailbox_recipient", "mailbox", ["recipient"])
    op.create_table(
        "schedule",
        sa.Column("job", sa.String(60), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_schedule"),
    )


def downgrade() -> None:
    op.drop_table("schedule")
    op.drop_index("ix_mailbox_recipient", table_name="mailbox")
    op.drop_table("mailbox")
    op.drop_table("clock_offset")
    op.drop_index("ix_outbox_due_at", table_name="outbox")
    op.drop_table("outbox")
