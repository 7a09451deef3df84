"""Networks, aliases, endpoints and deliveries."""

revision = "networks"
down_revision = "membership"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
