"""Aliases that are kept for owners who have not come yet, and what a network's import says of them."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "moving"
down_revision = "logout"


def upgrade() -> None:
    with op.batch_alter_table("aliases") as aliases:
        aliases.add_column(sa.Column("folded", sa.String(64), nullable=True))
        aliases.add_column(sa.Column("skeleton", sa.String(64), nullable=True))
    # Names chosen so far are of small letters, digits and underscores: they fold to themselves. What looks alike is
    # replaced in the order of coop.identity.handles.
    op.execute(
        "UPDATE aliases SET folded = alias, skeleton ="
        " replace(replace(replace(replace(alias, 'rn', 'm'), 'vv', 'w'), '0', 'o'), '1', 'l')"
    )
    with op.batch_alter_table("aliases") as aliases:
        aliases.drop_constraint("uq_aliases_network_id_alias", type_="unique")
        aliases.drop_constraint("pk_aliases", type_="primary")
        aliases.alter_column("folded", existing_type=sa.String(64), nullable=False)
        aliases.alter_column("skeleton", existing_type=sa.String(64), nullable=False)
        aliases.alter_column("account_id", existing_type=sa.Uuid(), nullable=True)
        aliases.alter_column("chosen_at", existing_type=UTCDateTime(), nullable=True)
        aliases.create_primary_key("pk_aliases", ["network_id", "folded"])
        aliases.create_unique_constraint("uq_aliases_network_id_account_id", ["network_id", "account_id"])
        aliases.create_check_constraint("ck_aliases_chosen", "(account_id IS NULL) = (chosen_at IS NULL)")
    op.create_index("ix_aliases_network_id_skeleton", "aliases", ["network_id", "skeleton"])
    op.create_table(
        "imported_accounts",
        sa.Column("network_id", sa.Uuid(), nullable=False),
        sa.Column("folded", sa.String(64), nullable=False),
        sa.Column("external_id", sa.String(64), nullable=True),
        sa.Column("email_digest", sa.LargeBinary(32), nullable=True),
        sa.Column("token_digest", sa.LargeBinary(32), nullable=True),
        sa.Column("token_expires_at", UTCDateTime(), nullable=True),
        sa.Column("imported_at", UTCDateTime(), nullable=False),
        sa.Column("forgotten_at", UTCDateTime(), nullable=True),
        sa.Column("claimed_at", UTCDateTime(), nullable=True),
        sa.Column("email_matched", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(token_digest IS NULL) = (token_expires_at IS NULL)", name="ck_imported_accounts_token"
        ),
        sa.CheckConstraint(
            "email_digest IS NULL OR (claimed_at IS NULL AND forgotten_at IS NULL)",
            name="ck_imported_accounts_email_kept",
        ),
        sa.ForeignKeyConstraint(
            ["network_id", "folded"],
            ["aliases.network_id", "aliases.folded"],
            name="fk_imported_accounts_network_id_aliases",
        ),
        sa.PrimaryKeyConstraint("network_id", "folded", name="pk_imported_accounts"),
        sa.UniqueConstraint("network_id", "external_id", name="uq_imported_accounts_network_id_external_id"),
        sa.UniqueConstraint("token_digest", name="uq_imported_accounts_token_digest"),
    )
    op.create_index(
        "ix_imported_accounts_network_id_email_digest", "imported_accounts", ["network_id", "email_digest"]
    )


def downgrade() -> None:
    op.drop_table("imported_accounts")
    op.execute("DELETE FROM aliases WHERE account_id IS NULL")
    op.drop_index("ix_aliases_network_id_skeleton", "aliases")
    with op.batch_alter_table("aliases") as aliases:
        aliases.drop_constraint("ck_aliases_chosen", type_="check")
        aliases.drop_constraint("uq_aliases_network_id_account_id", type_="unique")
        aliases.drop_constraint("pk_aliases", type_="primary")
        aliases.alter_column("account_id", existing_type=sa.Uuid(), nullable=False)
        aliases.alter_column("chosen_at", existing_type=UTCDateTime(), nullable=False)
        aliases.drop_column("skeleton")
        aliases.drop_column("folded")
        aliases.create_primary_key("pk_aliases", ["network_id", "account_id"])
        aliases.create_unique_constraint("uq_aliases_network_id_alias", ["network_id", "alias"])
