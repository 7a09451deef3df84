"""Reservations, the queue and gifts."""

import sqlalchemy as sa
from alembic import op

from coop.database import MoneyType, UTCDateTime

revision = "sponsorship"
down_revision = "networks"

_OPEN = sa.text("state IN ('queued', 'offered', 'awarded')")


def upgrade() -> None:
    op.create_table(
        "pool_reservations",
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("made_at", UTCDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("amount > 0", name="ck_pool_reservations_positive"),
        sa.CheckConstraint("state IN ('held', 'spent', 'released')", name="ck_pool_reservations_state"),
        sa.PrimaryKeyConstraint("key", name="pk_pool_reservations"),
    )
    queue = op.create_table(
        "place_queue",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_place_queue_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_place_queue"),
    )
    op.bulk_insert(queue, [{"id": 1, "turn": 0}])
    op.create_table(
        "places",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", UTCDateTime(), nullable=False),
        sa.Column("contribution", MoneyType(), nullable=False),
        sa.Column("first", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("credited", sa.Boolean(), nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=True),
        sa.Column("awarded_at", UTCDateTime(), nullable=True),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("held_until", UTCDateTime(), nullable=True),
        sa.Column("term_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("contribution >= 0", name="ck_places_contribution"),
        sa.CheckConstraint(
            "state IN ('queued', 'offered', 'awarded', 'begun', 'closed')", name="ck_places_state"
        ),
        sa.CheckConstraint("NOT credited OR contribution > 0", name="ck_places_credited"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_places_account_id_accounts"),
        sa.ForeignKeyConstraint(
            ["policy_version"], ["policy_versions.id"], name="fk_places_policy_version_policy_versions"
        ),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_places_term_id_terms"),
        sa.PrimaryKeyConstraint("id", name="pk_places"),
        sa.UniqueConstraint("term_id", name="uq_places_term_id"),
        # Ids are handed out once only, so that (asked_at, id) stays the order of asking.
        sqlite_autoincrement=True,
    )
    op.create_index(
        "one_open_place", "places", ["account_id"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
    )
    op.create_index("ix_places_queue", "places", ["state", "asked_at", "id"])
    op.create_table(
        "gifts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("amount", MoneyType(), nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=False),
        sa.Column("bought_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("claimed_at", UTCDateTime(), nullable=True),
        sa.Column("term_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("amount > 0", name="ck_gifts_positive"),
        sa.CheckConstraint("state IN ('waiting', 'claimed', 'returned')", name="ck_gifts_state"),
        sa.CheckConstraint("(state = 'claimed') = (claimed_at IS NOT NULL)", name="ck_gifts_claimed"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_gifts_account_id_accounts"),
        sa.ForeignKeyConstraint(
            ["policy_version"], ["policy_versions.id"], name="fk_gifts_policy_version_policy_versions"
        ),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_gifts_term_id_terms"),
        sa.PrimaryKeyConstraint("id", name="pk_gifts"),
        sa.UniqueConstraint("digest", name="uq_gifts_digest"),
        sa.UniqueConstraint("term_id", name="uq_gifts_term_id"),
    )
    op.create_index("ix_gifts_account_id", "gifts", ["account_id"])


def downgrade() -> None:
    op.drop_table("gifts")
    op.drop_table("places")
    op.drop_table("place_queue")
    op.drop_table("pool_reservations")
