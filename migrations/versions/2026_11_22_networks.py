"""Networks, links, aliases, endpoints and deliveries."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "networks"
down_revision = "membership"


def upgrade() -> None:
    op.create_table(
        "networks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(40), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("origin", sa.String(255), nullable=False),
        sa.Column("sector", sa.String(255), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.CheckConstraint("state IN ('active', 'suspended')", name="ck_networks_state"),
        sa.PrimaryKeyConstraint("id", name="pk_networks"),
        sa.UniqueConstraint("slug", name="uq_networks_slug"),
        sa.UniqueConstraint("origin", name="uq_networks_origin"),
        sa.UniqueConstraint("sector", name="uq_networks_sector"),
    )
    op.create_table(
        "pairwise_fingerprint",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_pairwise_fingerprint_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_pairwise_fingerprint"),
    )
    op.create_table(
        "links",
        sa.Column("network_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(43), nullable=False),
        sa.Column("linked_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("ended_at IS NULL OR ended_at >= linked_at", name="ck_links_period"),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name="fk_links_network_id_networks"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_links_account_id_accounts"),
        sa.PrimaryKeyConstraint("network_id", "account_id", name="pk_links"),
        sa.UniqueConstraint("network_id", "subject", name="uq_links_network_id_subject"),
    )
    op.create_index("ix_links_account_id", "links", ["account_id"])
    op.create_table(
        "aliases",
        sa.Column("network_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("alias", sa.String(64), nullable=False),
        sa.Column("chosen_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name="fk_aliases_network_id_networks"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_aliases_account_id_accounts"),
        sa.PrimaryKeyConstraint("network_id", "account_id", name="pk_aliases"),
        sa.UniqueConstraint("network_id", "alias", name="uq_aliases_network_id_alias"),
    )
    op.create_index("ix_aliases_account_id", "aliases", ["account_id"])
    op.create_table(
        "covenant_signatures",
        sa.Column("network_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("signed_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name="fk_covenant_signatures_network_id_networks"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["policy_versions.id"], name="fk_covenant_signatures_version_id_policy_versions"
        ),
        sa.PrimaryKeyConstraint("network_id", "version_id", name="pk_covenant_signatures"),
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("network_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(500), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_previous", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", UTCDateTime(), nullable=True),
        sa.Column("gone_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name="fk_webhook_endpoints_network_id_networks"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
        sa.UniqueConstraint("network_id", name="uq_webhook_endpoints_network_id"),
    )
    op.create_table(
        "deliveries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", UTCDateTime(), nullable=True),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", UTCDateTime(), nullable=True),
        sa.Column("last_status", sa.BigInteger(), nullable=True),
        sa.Column("last_failure", sa.String(60), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name="fk_deliveries_endpoint_id_webhook_endpoints",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_deliveries"),
        sa.UniqueConstraint("id", name="uq_deliveries_id"),
    )
    op.create_index("ix_deliveries_due_at", "deliveries", ["due_at"])
    op.create_index("ix_deliveries_endpoint_id_account_id", "deliveries", ["endpoint_id", "account_id"])
    op.create_table(
        "recognitions",
        sa.Column("term_id", sa.Uuid(), nullable=False),
        sa.Column("months", sa.BigInteger(), nullable=False),
        sa.Column("next_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("months >= 0 AND months <= 12", name="ck_recognitions_months"),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_recognitions_term_id_terms"),
        sa.PrimaryKeyConstraint("term_id", name="pk_recognitions"),
    )
    op.create_index("ix_recognitions_next_at", "recognitions", ["next_at"])


def downgrade() -> None:
    op.drop_table("recognitions")
    op.drop_table("deliveries")
    op.drop_table("webhook_endpoints")
    op.drop_table("covenant_signatures")
    op.drop_table("aliases")
    op.drop_table("links")
    op.drop_table("pairwise_fingerprint")
    op.drop_table("networks")
