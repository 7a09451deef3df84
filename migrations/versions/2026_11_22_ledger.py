"""The journal, its rules and its balance rows."""

revision = "ledger"
down_revision = "policies"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
