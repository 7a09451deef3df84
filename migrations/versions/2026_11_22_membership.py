"""Members and terms."""

revision = "membership"
down_revision = "stewardship"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
