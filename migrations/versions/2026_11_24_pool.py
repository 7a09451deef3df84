"""How requests for a place ended, and which payment waits with one."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "pool"
down_revision = "webhooks"

_CREDITED = """
UPDATE places SET payment_id = (
    SELECT payments.id FROM payments
    WHERE payments.account_id = places.account_id AND payments.purpose = 'dues' AND payments.term_id IS NULL
    AND payments.amount = places.contribution AND payments.refunded = 0
    ORDER BY payments.received_at DESC LIMIT 1
) WHERE credited AND state <> 'closed'
"""


def upgrade() -> None:
    op.add_column("places", sa.Column("payment_id", sa.Uuid(), nullable=True))
    op.add_column("places", sa.Column("ended_as", sa.String(10), nullable=True))
    op.add_column("places", sa.Column("ended_at", UTCDateTime(), nullable=True))
    op.execute(_CREDITED)
    op.execute(
        "UPDATE places SET ended_as = 'withdrawn', ended_at = COALESCE(awarded_at, asked_at) WHERE state = 'closed'"
    )
    with op.batch_alter_table("places", table_kwargs={"sqlite_autoincrement": True}) as places:
        places.create_foreign_key("fk_places_payment_id_payments", "payments", ["payment_id"], ["id"])
        places.create_unique_constraint("uq_places_payment_id", ["payment_id"])
        places.create_check_constraint("ck_places_payment", "credited OR payment_id IS NULL")
        places.create_check_constraint("ck_places_ended", "(state = 'closed') = (ended_as IS NOT NULL)")
        places.create_check_constraint("ck_places_ended_at", "(ended_as IS NULL) = (ended_at IS NULL)")
    op.create_index("ix_places_account_id", "places", ["account_id"])


def downgrade() -> None:
    op.drop_index("ix_places_account_id", "places")
    with op.batch_alter_table("places", table_kwargs={"sqlite_autoincrement": True}) as places:
        for name in ("ended_at", "ended", "payment"):
            places.drop_constraint(f"ck_places_{name}", type_="check")
        places.drop_constraint("uq_places_payment_id", type_="unique")
        places.drop_constraint("fk_places_payment_id_payments", type_="foreignkey")
        for name in ("ended_at", "ended_as", "payment_id"):
            places.drop_column(name)
