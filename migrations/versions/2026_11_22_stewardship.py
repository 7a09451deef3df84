"""Roles and the audit log."""

revision = "stewardship"
down_revision = "identity"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
