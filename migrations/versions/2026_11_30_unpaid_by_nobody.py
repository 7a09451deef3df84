"""Nothing of money begins in the name of an erased account, though a request for it was under way when it was erased."""

from alembic import op

revision = "unpaid_by_nobody"
down_revision = "erasures"

_WORDS = "an erased account is nobody''s"
_WHEN = "(SELECT erased_at FROM accounts WHERE id = NEW.account_id) IS NOT NULL"
_TABLES = (
    "operations",
    "checkouts",
    "card_visits",
    "transfers",
    "places",
    "household_members",
    "organisations",
)


def upgrade() -> None:
    for table in _TABLES:
        name = f"zz_erased_without_{table}"
        if op.get_bind().dialect.name == "sqlite":
            op.execute(
                f"CREATE TRIGGER {name} AFTER INSERT ON {table} WHEN {_WHEN} "
                f"BEGIN SELECT RAISE(ABORT, '{_WORDS}'); END"
            )
            continue
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {_WHEN} THEN "
            f"RAISE EXCEPTION '{_WORDS}' USING ERRCODE = 'integrity_constraint_violation'; END IF; "
            "RETURN NULL; END $$"
        )
        # After the foreign key has been checked, which waits for an erasure that is under way (triggers go by their names).
        op.execute(f"CREATE TRIGGER {name} AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    for table in _TABLES:
        name = f"zz_erased_without_{table}"
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER {name}")
            continue
        op.execute(f"DROP TRIGGER {name} ON {table}")
        op.execute(f"DROP FUNCTION {name}()")
