"""The founding phase: until there are members enough to vote, founders' acts change law directly, in the open.

It ends by itself, for good: at a number of members who have ever joined, or at a date, both read from the first voting
policy, so that no founder can make it longer.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from coop.errors import Refused
from coop.governance.events import PolicyChanged
from coop.governance.patches import target
from coop.membership.terms import Member
from coop.policies import Document, Version, Voting, adopt, history
from coop.stewardship import audit, roles
from coop.unit_of_work import UnitOfWork


class FoundingOver(Refused):
    """The founding phase is over: only a motion that members carried changes law now."""

    code = "founding_over"


async def running(work: UnitOfWork) -> bool:
    """Tell whether founders may still act."""
    versions = await history(work, Voting)
    if not versions:
        return False
    first = versions[0]
    if work.now >= first.effective_at + timedelta(days=first.document.founding_days):
        return False
    # Whoever ever began a year counts, so that lapses cannot reopen the phase.
    joined = await work.session.scalar(select(func.count(Member.account_id)))
    return (joined or 0) < first.document.founding_until_members


async def act(work: UnitOfWork, account_id: UUID, document: Document, *, reason: str) -> Version[Document]:
    """Make `document` law as a founder's act, from now; a steward's role and a reason are needed."""
    await roles.require(work, account_id, "steward")
    if not await running(work):
        raise FoundingOver
    previous = await target(work, document.kind())
    version: Version[Document] = await adopt(
        work, document, act="founding", effective_at=work.now, replaces=previous.hash
    )
    await audit.record(
        work,
        act="policy.founding",
        reason=reason,
        actor=account_id,
        subject=f"{version.kind} {version.number}",
    )
    work.publish(
        PolicyChanged(kind=version.kind, version_id=version.id, act=version.act),
        dedupe_key=f"policy-changed:{version.id}",
    )
    return version
