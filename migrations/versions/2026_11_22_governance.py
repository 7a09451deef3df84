"""Motions, their seconders, rolls and ballots, and the triggers that keep what was announced and counted."""

import sqlalchemy as sa
from alembic import op

from coop.database import UTCDateTime

revision = "governance"
down_revision = "sponsorship"

_WORDS = (
    "title, text, argument_for, argument_against, motion_class, kind, patch, against_hash, "
    "announced_at, closes_at, effective_at, card, card_hash, roll_size"
)
_COUNT = "votes_for, votes_against, abstained, quorum, majority, verdict"

# (name, event and table, when it is refused, what is said)
_TRIGGERS = (
    (
        "motions_frozen",
        f"UPDATE OF {_WORDS} ON motions",
        "OLD.state NOT IN ('draft', 'discussion')",
        "an announced motion keeps its words",
    ),
    (
        "motions_counted",
        f"UPDATE OF {_COUNT} ON motions",
        "OLD.verdict IS NOT NULL",
        "a counted vote keeps its result",
    ),
    ("motions_kept", "DELETE ON motions", "OLD.announced_at IS NOT NULL", "an announced motion stays"),
    (
        "ballots_sealed_in",
        "INSERT ON ballots",
        "(SELECT state FROM motions WHERE id = NEW.motion_id) <> 'open'",
        "the vote is not open",
    ),
    ("ballots_fixed", "UPDATE ON ballots", "1 = 1", "a ballot is never altered"),
    (
        "ballots_sealed_out",
        "DELETE ON ballots",
        "(SELECT state FROM motions WHERE id = OLD.motion_id) <> 'open'",
        "the vote is not open",
    ),
    (
        "roll_sealed_in",
        "INSERT ON roll",
        "(SELECT state FROM motions WHERE id = NEW.motion_id) NOT IN ('discussion', 'open')",
        "the roll is frozen",
    ),
    (
        "roll_sealed",
        "UPDATE ON roll",
        "(SELECT state FROM motions WHERE id = OLD.motion_id) <> 'open'",
        "the roll is frozen",
    ),
    (
        "roll_sealed_out",
        "DELETE ON roll",
        "(SELECT state FROM motions WHERE id = OLD.motion_id) NOT IN ('open', 'lost', 'executed', 'not_executed')",
        "the roll is frozen",
    ),
)


def upgrade() -> None:
    op.create_table(
        "motions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("argument_for", sa.Text(), nullable=False),
        sa.Column("proposer_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("motion_class", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(20), nullable=True),
        sa.Column("patch", sa.Text(), nullable=True),
        sa.Column("against_hash", sa.String(64), nullable=True),
        sa.Column("argument_against", sa.Text(), nullable=False),
        sa.Column("argument_against_by", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("seconded_at", UTCDateTime(), nullable=True),
        sa.Column("postponed_until", UTCDateTime(), nullable=True),
        sa.Column("announced_at", UTCDateTime(), nullable=True),
        sa.Column("closes_at", UTCDateTime(), nullable=True),
        sa.Column("effective_at", UTCDateTime(), nullable=True),
        sa.Column("card", sa.Text(), nullable=True),
        sa.Column("card_hash", sa.String(64), nullable=True),
        sa.Column("roll_size", sa.BigInteger(), nullable=True),
        sa.Column("letters_sent", sa.Boolean(), nullable=False),
        sa.Column("reminded", sa.Boolean(), nullable=False),
        sa.Column("mixed", sa.BigInteger(), nullable=False),
        sa.Column("votes_for", sa.BigInteger(), nullable=True),
        sa.Column("votes_against", sa.BigInteger(), nullable=True),
        sa.Column("abstained", sa.BigInteger(), nullable=True),
        sa.Column("quorum", sa.BigInteger(), nullable=True),
        sa.Column("majority", sa.String(20), nullable=True),
        sa.Column("verdict", sa.String(20), nullable=True),
        sa.Column("executed_at", UTCDateTime(), nullable=True),
        sa.Column("failure", sa.String(300), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'discussion', 'open', 'carried', 'lost', 'executed', 'not_executed', 'withdrawn')",
            name="ck_motions_state",
        ),
        sa.CheckConstraint(
            "motion_class IN ('ordinary', 'economic', 'constitutional', 'charter')",
            name="ck_motions_motion_class",
        ),
        sa.CheckConstraint(
            "(kind IS NULL) = (patch IS NULL) AND (kind IS NULL) = (against_hash IS NULL)",
            name="ck_motions_patch",
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'discussion', 'withdrawn') OR (announced_at IS NOT NULL AND closes_at IS NOT NULL "
            "AND effective_at IS NOT NULL AND card IS NOT NULL AND card_hash IS NOT NULL AND roll_size IS NOT NULL)",
            name="ck_motions_announced",
        ),
        sa.CheckConstraint("closes_at > announced_at AND effective_at > closes_at", name="ck_motions_order"),
        sa.CheckConstraint(
            "votes_for >= 0 AND votes_against >= 0 AND abstained >= 0 "
            "AND votes_for + votes_against + abstained <= roll_size",
            name="ck_motions_count",
        ),
        sa.CheckConstraint(
            "(state IN ('carried', 'lost', 'executed', 'not_executed')) = (verdict IS NOT NULL)",
            name="ck_motions_verdict",
        ),
        sa.ForeignKeyConstraint(["proposer_id"], ["accounts.id"], name="fk_motions_proposer_id_accounts"),
        sa.ForeignKeyConstraint(
            ["argument_against_by"], ["accounts.id"], name="fk_motions_argument_against_by_accounts"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_motions"),
    )
    op.create_index("ix_motions_state", "motions", ["state"])
    op.create_table(
        "motion_seconds",
        sa.Column("motion_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["motion_id"], ["motions.id"], name="fk_motion_seconds_motion_id_motions"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_motion_seconds_account_id_accounts"
        ),
        sa.PrimaryKeyConstraint("motion_id", "account_id", name="pk_motion_seconds"),
    )
    op.create_table(
        "roll",
        sa.Column("motion_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("voted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["motion_id"], ["motions.id"], name="fk_roll_motion_id_motions"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_roll_account_id_accounts"),
        sa.PrimaryKeyConstraint("motion_id", "account_id", name="pk_roll"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ballots",
        sa.Column("motion_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("choice", sa.String(7), nullable=False),
        sa.CheckConstraint("choice IN ('yes', 'no', 'abstain')", name="ck_ballots_choice"),
        sa.ForeignKeyConstraint(["motion_id"], ["motions.id"], name="fk_ballots_motion_id_motions"),
        sa.PrimaryKeyConstraint("motion_id", "id", name="pk_ballots"),
        sqlite_with_rowid=False,
    )
    for name, event, when, words in _TRIGGERS:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {event} WHEN {when} BEGIN SELECT RAISE(ABORT, '{words}'); END"
            )
            continue
        row = "OLD" if event.startswith("DELETE") else "NEW"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {when} THEN "
            f"RAISE EXCEPTION '{words}' USING ERRCODE = 'integrity_constraint_violation'; END IF; "
            f"RETURN {row}; END $$"
        )
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} FOR EACH ROW EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    for table in ("ballots", "roll", "motion_seconds", "motions"):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        for name, *_ in _TRIGGERS:
            op.execute(f"DROP FUNCTION {name}()")
