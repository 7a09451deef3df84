"""Indexes by which a turn along the line, and a run over it, read no more places than they deal with."""

import sqlalchemy as sa
from alembic import op

revision = "places"
down_revision = "vat"

FIRST = sa.text("first")
HOUSEHOLDS = sa.text("first_places > 0")


def upgrade() -> None:
    op.drop_index("ix_places_queue", "places")
    op.create_index("ix_places_line", "places", ["state", "credited", "asked_at", "id"])
    op.create_index("ix_places_due", "places", ["state", "due_at", "id"])
    op.create_index("ix_places_first", "places", ["awarded_at"], sqlite_where=FIRST, postgresql_where=FIRST)
    op.create_index(
        "ix_pool_reservations_households",
        "pool_reservations",
        ["made_at"],
        sqlite_where=HOUSEHOLDS,
        postgresql_where=HOUSEHOLDS,
    )


def downgrade() -> None:
    op.drop_index("ix_pool_reservations_households", "pool_reservations")
    for name in ("ix_places_first", "ix_places_due", "ix_places_line"):
        op.drop_index(name, "places")
    op.create_index("ix_places_queue", "places", ["state", "asked_at", "id"])
