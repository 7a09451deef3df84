"""What stewardship holds about a person: offices of theirs, what stewards did about them, and what they did as one."""

from sqlalchemy import false, select
from sqlalchemy.orm import aliased

from coop.identity.accounts import Account
from coop.ledger.references import ReferenceLookup
from coop.personal import Held, Registered
from coop.stewardship.approvals import Proposal
from coop.stewardship.audit import AuditEntry
from coop.stewardship.roles import Role

_LOG = "the log is append-only; the identifier in it leads to nobody"
_STEWARD = aliased(Account)

HELD: Registered = (
    Held(
        table=Role,
        of=lambda person: Role.account_id == person.account_id,
        stays="who answered for the cooperative when is part of its record; the identifier leads to nobody",
    ),
    Held(
        table=AuditEntry,
        called="acts_about_you",
        of=lambda person: AuditEntry.about_id == person.account_id,
        stays=_LOG,
        people=("about_id",),
        withheld={"actor_id": "other", "subject": "other"},
        # The page of the member's record names them as well.
        more={
            "by": select(_STEWARD.handle).where(_STEWARD.id == AuditEntry.actor_id).scalar_subquery(),
        },
    ),
    Held(
        table=AuditEntry,
        called="acts_of_yours",
        of=lambda person: AuditEntry.actor_id == person.account_id,
        stays=_LOG,
        people=("actor_id",),
        withheld={"about_id": "other", "subject": "other", "reason": "other"},
    ),
    Held(
        table=ReferenceLookup,
        of=lambda person: ReferenceLookup.reference == person.reference if person.reference else false(),
        stays=_LOG,
        withheld={"by": "other"},
        more={
            "steward": select(_STEWARD.handle).where(_STEWARD.id == ReferenceLookup.by).scalar_subquery(),
        },
    ),
    Held(
        table=Proposal,
        called="proposals_about_you",
        of=lambda person: Proposal.about_id == person.account_id,
        stays=_LOG,
        people=("about_id",),
    ),
    Held(
        table=Proposal,
        called="proposals_of_yours",
        of=lambda person: Proposal.proposed_by == person.account_id,
        stays=_LOG,
        people=("about_id",),
        withheld={"document": "other", "reason": "other"},
    ),
)
