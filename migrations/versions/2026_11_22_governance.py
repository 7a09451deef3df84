"""Motions, rolls and ballots."""

revision = "governance"
down_revision = "sponsorship"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
