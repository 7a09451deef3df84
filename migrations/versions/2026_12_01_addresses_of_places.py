"""An address serves one account with a first place: a keyed digest of it stands beside the request."""

import sqlalchemy as sa
from alembic import op

revision = "addresses_of_places"
down_revision = "unpaid_by_nobody"

_KNOWN = sa.text("address IS NOT NULL")


def upgrade() -> None:
    """Apply."""
    op.add_column("places", sa.Column("address", sa.LargeBinary(32), nullable=True))
    op.create_index("ix_places_address", "places", ["address"], sqlite_where=_KNOWN, postgresql_where=_KNOWN)


def downgrade() -> None:
    """Revert."""
    op.drop_index("ix_places_address", "places")
    op.drop_column("places", "address")
