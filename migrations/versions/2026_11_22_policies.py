"""Policies and their versions."""

revision = "policies"
down_revision = "ground"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
