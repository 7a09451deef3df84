"""Clients, grants, tokens and keys."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "authorization"
down_revision = "billing"


def upgrade() -> None:
    op.create_table(
        "clients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("network_id", sa.Uuid(), nullable=True),
        sa.Column("sector", sa.String(255), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("post_logout_redirect_uris", sa.JSON(), nullable=False),
        sa.Column("scope", sa.String(300), nullable=False),
        sa.Column("grant_types", sa.JSON(), nullable=False),
        sa.Column("auth_method", sa.String(24), nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(32), nullable=True),
        sa.Column("native", sa.Boolean(), nullable=False),
        sa.Column("id_token_algorithm", sa.String(8), nullable=False),
        sa.Column("profile_in_id_token", sa.Boolean(), nullable=False),
        sa.Column("self_registered", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "auth_method IN ('none', 'client_secret_basic', 'client_secret_post')",
            name="ck_clients_auth_method",
        ),
        sa.CheckConstraint("(auth_method = 'none') = (secret_digest IS NULL)", name="ck_clients_secret"),
        sa.CheckConstraint("id_token_algorithm IN ('ES256', 'RS256')", name="ck_clients_algorithm"),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name="fk_clients_network_id_networks"),
        sa.PrimaryKeyConstraint("id", name="pk_clients"),
    )
    op.create_index("ix_clients_network_id", "clients", ["network_id"])
    op.create_index("ix_clients_created_at", "clients", ["created_at"])
    op.create_table(
        "consents",
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(300), nullable=False),
        sa.Column("shares_email", sa.Boolean(), nullable=False),
        sa.Column("shares_display_name", sa.Boolean(), nullable=False),
        sa.Column("given_at", UTCDateTime(), nullable=False),
        sa.Column("withdrawn_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_consents_client_id_clients"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_consents_account_id_accounts"),
        sa.PrimaryKeyConstraint("client_id", "account_id", name="pk_consents"),
        sa.UniqueConstraint("client_id", "name", name="uq_consents_client_id_name"),
    )
    op.create_index("ix_consents_account_id", "consents", ["account_id"])
    op.create_table(
        "grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(300), nullable=False),
        sa.Column("nonce", sa.String(1000), nullable=True),
        sa.Column("authenticated_at", UTCDateTime(), nullable=False),
        sa.Column("amr_methods", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("redirect_uri", sa.String(2000), nullable=False),
        sa.Column("code_challenge", sa.String(128), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("code_expires_at", UTCDateTime(), nullable=False),
        sa.Column("code_used_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_grants_client_id_clients"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_grants_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
        sa.UniqueConstraint("code_digest", name="uq_grants_code_digest"),
    )
    for column in ("client_id", "account_id", "session_id", "code_expires_at"):
        op.create_index(f"ix_grants_{column}", "grants", [column])
    op.create_table(
        "access_tokens",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.Column("scope", sa.String(300), nullable=False),
        sa.Column("issued_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_access_tokens_client_id_clients"),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name="fk_access_tokens_grant_id_grants"),
        sa.PrimaryKeyConstraint("digest", name="pk_access_tokens"),
    )
    for column in ("client_id", "grant_id", "expires_at"):
        op.create_index(f"ix_access_tokens_{column}", "access_tokens", [column])
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name="fk_refresh_tokens_grant_id_grants"),
        sa.PrimaryKeyConstraint("digest", name="pk_refresh_tokens"),
    )
    for column in ("grant_id", "expires_at"):
        op.create_index(f"ix_refresh_tokens_{column}", "refresh_tokens", [column])
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(8), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("public", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("state IN ('next', 'active', 'past', 'retired')", name="ck_signing_keys_state"),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    op.create_index(
        "uq_signing_keys_active",
        "signing_keys",
        ["algorithm"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )


def downgrade() -> None:
    for table in ("signing_keys", "refresh_tokens", "access_tokens", "grants", "consents", "clients"):
        op.drop_table(table)
