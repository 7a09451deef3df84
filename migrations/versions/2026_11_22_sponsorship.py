"""Reservations, the queue and gifts."""

revision = "sponsorship"
down_revision = "networks"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
