"""Two-person approval: what one steward proposes, another must approve before it is done.

The proposal holds the exact words of what is to be done; whoever carries it out does so in the unit of work that
approves it, so that an approval is used once and for nothing else.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid, NotFound, Refused
from coop.stewardship import audit, roles
from coop.stewardship.roles import RoleName
from coop.unit_of_work import UnitOfWork, new_id

OPEN_FOR = timedelta(days=14)
"""A proposal that nobody approves in two weeks lapses; circumstances have changed."""

LONGEST_DOCUMENT = 20_000


class OwnProposal(Refused):
    """Somebody else has to approve what you proposed."""

    code = "own_proposal"


class ProposalDecided(Refused):
    """This proposal was already decided, or it lapsed."""

    code = "proposal_decided"


class Proposal(Base):
    """An act that waits for a second steward."""

    __tablename__ = "proposals"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'approved', 'rejected')", name="state"),
        CheckConstraint("role IN ('steward', 'treasurer', 'admin', 'auditor')", name="role"),
        CheckConstraint(
            "(state = 'open') = (decided_by IS NULL) AND (state = 'open') = (decided_at IS NULL)",
            name="decided",
        ),
        # The heart of it: even a fault of ours cannot approve with the proposer's own hand.
        CheckConstraint("state <> 'approved' OR decided_by <> proposed_by", name="two_people"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    kind: Mapped[str] = mapped_column(String(60))
    document: Mapped[str] = mapped_column(Text)
    role: Mapped[RoleName] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(String(audit.LONGEST_REASON))
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    proposed_at: Mapped[datetime]
    lapses_at: Mapped[datetime]
    about_id: Mapped[UUID | None] = mapped_column(default=None)
    state: Mapped[Literal["open", "approved", "rejected"]] = mapped_column(
        String(10), default="open", index=True
    )
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"), default=None)
    decided_at: Mapped[datetime | None] = mapped_column(default=None)


async def propose(
    work: UnitOfWork,
    account_id: UUID,
    *,
    kind: str,
    document: str,
    role: RoleName,
    reason: str,
    about: UUID | None = None,
) -> Proposal:
    """Propose an act: `document` says exactly what is to be done, `role` who may propose and approve it."""
    await roles.require(work, account_id, role)
    if not document or len(document) > LONGEST_DOCUMENT or "\x00" in document:
        raise Invalid("The proposal is empty or too long.", field="document")
    proposal = Proposal(
        kind=kind,
        document=document,
        role=role,
        reason=audit.checked(reason),
        proposed_by=account_id,
        proposed_at=work.now,
        lapses_at=work.now + OPEN_FOR,
        about_id=about,
    )
    work.session.add(proposal)
    await audit.record(
        work, act=f"{kind}.proposed", reason=reason, actor=account_id, about=about, subject=str(proposal.id)
    )
    return proposal


async def approve(work: UnitOfWork, proposal_id: UUID, account_id: UUID) -> Proposal:
    """Approve with a second pair of hands; the caller carries the act out in this very unit of work."""
    return await _decide(work, proposal_id, account_id, "approved")


async def reject(work: UnitOfWork, proposal_id: UUID, account_id: UUID) -> Proposal:
    """Turn a proposal down; its proposer may do so too."""
    return await _decide(work, proposal_id, account_id, "rejected")


async def waiting(work: UnitOfWork) -> Sequence[Proposal]:
    """Return the proposals that wait for a second steward, the oldest first."""
    found = select(Proposal).where(Proposal.state == "open", Proposal.lapses_at > work.now)
    return (await work.session.scalars(found.order_by(Proposal.proposed_at))).all()


async def _decide(
    work: UnitOfWork, proposal_id: UUID, account_id: UUID, state: Literal["approved", "rejected"]
) -> Proposal:
    proposal = await work.session.get(Proposal, proposal_id)
    if proposal is None:
        raise NotFound
    await roles.require(work, account_id, proposal.role)
    if state == "approved" and proposal.proposed_by == account_id:
        raise OwnProposal
    # Guarded, so that of two stewards who press the button at once exactly one decides.
    decided = await work.session.execute(
        update(Proposal)
        .where(Proposal.id == proposal_id, Proposal.state == "open", Proposal.lapses_at > work.now)
        .values(state=state, decided_by=account_id, decided_at=work.now)
    )
    if not decided.rowcount:  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult
        raise ProposalDecided
    await work.session.refresh(proposal)
    await audit.record(
        work,
        act=f"{proposal.kind}.{state}",
        reason=proposal.reason,
        actor=account_id,
        about=proposal.about_id,
        subject=str(proposal.id),
    )
    return proposal
