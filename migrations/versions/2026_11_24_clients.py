"""Clients with keys of their own, waivers, back-channel logout, managed registration; grants with requested claims."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "clients"
down_revision = "authorization"

_METHODS = "auth_method IN ('none', 'client_secret_basic', 'client_secret_post'{more})"


def upgrade() -> None:
    with op.batch_alter_table("clients") as clients:
        clients.add_column(sa.Column("previous_secret_digest", sa.LargeBinary(32), nullable=True))
        clients.add_column(sa.Column("previous_secret_until", UTCDateTime(), nullable=True))
        clients.add_column(sa.Column("jwks", sa.JSON(), nullable=True))
        clients.add_column(sa.Column("jwks_uri", sa.String(500), nullable=True))
        clients.add_column(_flag("requires_pkce", default=True))
        clients.add_column(_flag("requires_nonce", default=False))
        clients.add_column(
            sa.Column("access_token_format", sa.String(8), nullable=False, server_default="opaque")
        )
        clients.add_column(sa.Column("backchannel_logout_uri", sa.String(500), nullable=True))
        clients.add_column(_flag("backchannel_logout_session_required", default=False))
        clients.add_column(sa.Column("sector_identifier_uri", sa.String(500), nullable=True))
        clients.add_column(sa.Column("default_max_age", sa.BigInteger(), nullable=True))
        clients.add_column(sa.Column("registration_digest", sa.LargeBinary(32), nullable=True))
        clients.add_column(sa.Column("details", sa.JSON(), nullable=False, server_default="{}"))
        for name in ("auth_method", "secret", "algorithm"):
            clients.drop_constraint(f"ck_clients_{name}", type_="check")
        clients.create_check_constraint("ck_clients_auth_method", _METHODS.format(more=", 'private_key_jwt'"))
        clients.create_check_constraint(
            "ck_clients_secret", "(auth_method IN ('none', 'private_key_jwt')) = (secret_digest IS NULL)"
        )
        clients.create_check_constraint(
            "ck_clients_keys", "auth_method <> 'private_key_jwt' OR (jwks IS NULL) <> (jwks_uri IS NULL)"
        )
        clients.create_check_constraint(
            "ck_clients_algorithm", "id_token_algorithm IN ('ES256', 'RS256', 'EdDSA')"
        )
        clients.create_check_constraint(
            "ck_clients_access_token_format", "access_token_format IN ('opaque', 'jwt')"
        )
        clients.create_check_constraint("ck_clients_pkce", "requires_pkce OR auth_method <> 'none'")
    with op.batch_alter_table("grants") as grants:
        grants.add_column(sa.Column("claims", sa.JSON(), nullable=True))
        grants.alter_column("code_challenge", existing_type=sa.String(128), nullable=True)


def downgrade() -> None:
    # What the older schema cannot hold is gone: a code without a challenge lives for a minute only.
    op.execute("DELETE FROM grants WHERE code_challenge IS NULL")
    with op.batch_alter_table("grants") as grants:
        grants.alter_column("code_challenge", existing_type=sa.String(128), nullable=False)
        grants.drop_column("claims")
    with op.batch_alter_table("clients") as clients:
        for name in ("auth_method", "secret", "keys", "algorithm", "access_token_format", "pkce"):
            clients.drop_constraint(f"ck_clients_{name}", type_="check")
        clients.create_check_constraint("ck_clients_auth_method", _METHODS.format(more=""))
        clients.create_check_constraint(
            "ck_clients_secret", "(auth_method = 'none') = (secret_digest IS NULL)"
        )
        clients.create_check_constraint("ck_clients_algorithm", "id_token_algorithm IN ('ES256', 'RS256')")
        for name in (
            "previous_secret_digest",
            "previous_secret_until",
            "jwks",
            "jwks_uri",
            "requires_pkce",
            "requires_nonce",
            "access_token_format",
            "backchannel_logout_uri",
            "backchannel_logout_session_required",
            "sector_identifier_uri",
            "default_max_age",
            "registration_digest",
            "details",
        ):
            clients.drop_column(name)


def _flag(name: str, *, default: bool) -> sa.Column[bool]:
    value = sa.true() if default else sa.false()
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=value)
