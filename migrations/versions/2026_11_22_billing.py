"""Checkouts, Stripe events and idempotency keys."""

revision = "billing"
down_revision = "governance"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
