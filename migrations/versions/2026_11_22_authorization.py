"""Clients, grants, tokens and keys."""

revision = "authorization"
down_revision = "billing"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
