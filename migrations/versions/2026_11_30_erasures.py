"""Requests to be erased, names on networks that are nobody's for ever, and what an erased account can never have again."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "erasures"
down_revision = "vat_payments"

_WORDS = "an erased account is nobody''s"
_ERASED = "(SELECT erased_at FROM accounts WHERE id = NEW.account_id) IS NOT NULL"

# (name, event and table, when it is refused)
_TRIGGERS = (
    (
        "zz_erased_for_ever",
        "UPDATE ON accounts",
        (
            "OLD.erased_at IS NOT NULL AND NEW.erased_at IS NULL OR NEW.erased_at IS NOT NULL AND (NEW.email IS NOT NULL "
            "OR NEW.email_verified_at IS NOT NULL OR NEW.display_name IS NOT NULL OR NEW.password_digest IS NOT NULL "
            "OR NEW.handle NOT LIKE 'erased-%')"
        ),
    ),
    *(
        (f"zz_erased_without_{table}", f"INSERT ON {table}", _ERASED)
        for table in (
            "passkeys",
            "recovery_codes",
            "mail_links",
            "browser_sessions",
            "roles",
            "network_admins",
            "links",
        )
    ),
)


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", UTCDateTime(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("in_writing", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("done_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("state IN ('asked', 'closing', 'forgetting', 'done')", name="ck_erasures_state"),
        sa.CheckConstraint("(state = 'done') = (done_at IS NOT NULL)", name="ck_erasures_done"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_erasures_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_due_at", "erasures", ["due_at"])
    op.create_index("ix_erasures_state", "erasures", ["state"])
    op.create_table(
        "retired_aliases",
        sa.Column("network_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name="fk_retired_aliases_network_id_networks"
        ),
        sa.PrimaryKeyConstraint("network_id", "digest", name="pk_retired_aliases"),
    )
    for name, event, when in _TRIGGERS:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(
                f"CREATE TRIGGER {name} AFTER {event} WHEN {when} BEGIN SELECT RAISE(ABORT, '{_WORDS}'); END"
            )
            continue
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {when} THEN "
            f"RAISE EXCEPTION '{_WORDS}' USING ERRCODE = 'integrity_constraint_violation'; END IF; "
            "RETURN NULL; END $$"
        )
        # After the foreign key has been checked, which waits for an erasure that is under way (triggers go by their names).
        op.execute(f"CREATE TRIGGER {name} AFTER {event} FOR EACH ROW EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    for name, event, _ in _TRIGGERS:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER {name}")
            continue
        op.execute(f"DROP TRIGGER {name} ON {event.rpartition(' ')[2]}")
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("retired_aliases")
    op.drop_table("erasures")
