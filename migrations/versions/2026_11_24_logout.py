"""The life of signing keys; sessions that outlive a new sign-in in the same browser; notices of logout."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "logout"
down_revision = "assertions"

_STATES = "state IN ('next', 'active', 'past', 'retired'{more})"
_ONE_NEXT = sa.text("state = 'next'")


def upgrade() -> None:
    with op.batch_alter_table("signing_keys") as keys:
        keys.add_column(sa.Column("activates_at", UTCDateTime(), nullable=True))
        keys.add_column(sa.Column("retires_at", UTCDateTime(), nullable=True))
    op.execute("UPDATE signing_keys SET activates_at = created_at")
    # No release has ever moved a key on; one that somebody moved by hand has nothing to sign with any more.
    op.execute("DELETE FROM signing_keys WHERE state <> 'active'")
    with op.batch_alter_table("signing_keys") as keys:
        keys.alter_column("activates_at", existing_type=UTCDateTime(), nullable=False)
        keys.drop_constraint("ck_signing_keys_state", type_="check")
        keys.create_check_constraint("ck_signing_keys_state", _STATES.format(more=", 'revoked'"))
        keys.create_check_constraint(
            "ck_signing_keys_private_half", "(state IN ('retired', 'revoked')) = (length(sealed) = 0)"
        )
        keys.create_check_constraint(
            "ck_signing_keys_retirement", "state <> 'past' OR retires_at IS NOT NULL"
        )
    op.create_index(
        "uq_signing_keys_next",
        "signing_keys",
        ["algorithm"],
        unique=True,
        sqlite_where=_ONE_NEXT,
        postgresql_where=_ONE_NEXT,
    )
    with op.batch_alter_table("browser_sessions") as sessions:
        sessions.add_column(sa.Column("lineage", sa.Uuid(), nullable=True))
    op.execute("UPDATE browser_sessions SET lineage = id")
    with op.batch_alter_table("browser_sessions") as sessions:
        sessions.alter_column("lineage", existing_type=sa.Uuid(), nullable=False)
    op.create_index("ix_browser_sessions_lineage", "browser_sessions", ["lineage"])
    op.create_table(
        "logout_notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("occasion", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", UTCDateTime(), nullable=True),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", UTCDateTime(), nullable=True),
        sa.Column("last_status", sa.BigInteger(), nullable=True),
        sa.Column("last_failure", sa.String(60), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name="fk_logout_notices_client_id_clients", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_logout_notices_account_id_accounts"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_logout_notices"),
        sa.UniqueConstraint(
            "client_id",
            "account_id",
            "occasion",
            "session_id",
            name="uq_logout_notices_client_id_account_id_occasion_session_id",
        ),
    )
    for column in ("account_id", "due_at"):
        op.create_index(f"ix_logout_notices_{column}", "logout_notices", [column])


def downgrade() -> None:
    op.drop_table("logout_notices")
    op.drop_index("ix_browser_sessions_lineage", "browser_sessions")
    with op.batch_alter_table("browser_sessions") as sessions:
        sessions.drop_column("lineage")
    op.drop_index("uq_signing_keys_next", "signing_keys")
    # The older schema knows only of keys that sign.
    op.execute("DELETE FROM signing_keys WHERE state <> 'active'")
    with op.batch_alter_table("signing_keys") as keys:
        for name in ("retirement", "private_half", "state"):
            keys.drop_constraint(f"ck_signing_keys_{name}", type_="check")
        keys.create_check_constraint("ck_signing_keys_state", _STATES.format(more=""))
        keys.drop_column("retires_at")
        keys.drop_column("activates_at")
