"""Differences: what Stripe says and the books do not, named, with the entry that would settle it.

One row is open for each kind and object. It closes when the difference is gone; settling it by hand takes two treasurers
and a reason, and leaves the row as history.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.database import Base, changed, insert_once
from coop.errors import Invalid, NotFound, Refused
from coop.ledger import STRIPE, Posting, chart, moves
from coop.money import ZERO, Money
from coop.stewardship import approvals
from coop.stewardship.approvals import Proposal
from coop.unit_of_work import UnitOfWork, new_id

PROPOSAL = "stripe_difference"
ROLE: Literal["treasurer"] = "treasurer"
SOURCE = "reconciliation"
"""The source of the entries that settle a difference; their external id is the object's."""

KINDS: Mapping[str, str] = {
    "amount_differs": "The books moved another amount than Stripe for the same thing.",
    "balance": "Stripe's balance is not what the books say, and no other difference explains it.",
    "card_missing": "The card is gone: the next renewal cannot be charged. The member can leave a new one.",
    "dispute_unbooked": "A dispute took money from Stripe's balance that the books still count.",
    "foreign_charge": "A charge on the Stripe account that was not made here.",
    "foreign_currency": "Money moved in another currency than that of the books. Exchange it at Stripe.",
    "foreign_subscription": "A subscription that was not made here. Cancel it, or take it over with `coop import stripe`.",
    "movement_unbooked": "Money moved at Stripe for a reason that the books do not know.",
    "payment_missing": "A payment in the books that Stripe does not know. Is this the right Stripe account?",
    "refund_unbooked": "A refund at Stripe that the books could not take.",
    "subscription_missing": "A renewal that Stripe does not know. Is this the right Stripe account?",
    "subscription_paused": "Somebody paused a renewal at Stripe: it will not be charged.",
    "subscription_price": "A renewal's price or rhythm was changed at Stripe; the member agreed to another. Change it back there.",
}
"""What each kind means, and what to do when an entry is not enough."""

MONEY = frozenset(
    {
        "amount_differs",
        "balance",
        "dispute_unbooked",
        "foreign_charge",
        "movement_unbooked",
        "refund_unbooked",
    }
)
"""The kinds that an entry settles, and nothing but an entry; others are mended at Stripe, or accepted as they are."""


class NoSuchDifference(NotFound):
    """There is no such difference, or it is open no more."""

    code = "no_such_difference"


class DifferenceChanged(Refused):
    """The difference is no longer what the proposal was about. Propose again."""

    code = "difference_changed"


class Difference(Base):
    """One difference, open or past; amounts are debits on our balance at Stripe, in `currency`."""

    __tablename__ = "stripe_differences"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'gone', 'settled', 'accepted')", name="state"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(state IN ('settled', 'accepted')) = (proposal_id IS NOT NULL)", name="two_people"),
        CheckConstraint("(state = 'settled') = (entry_id IS NOT NULL)", name="entry"),
        Index(
            "uq_stripe_differences_open",
            "kind",
            "object_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_stripe_differences_object_id", "object_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    kind: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[str] = mapped_column(String(255))
    at_stripe: Mapped[Money | None] = mapped_column(default=None)
    in_books: Mapped[Money | None] = mapped_column(default=None)
    currency: Mapped[str] = mapped_column(String(3))
    facts: Mapped[str] = mapped_column(Text)
    """A JSON object of short texts: states, and the ids of related objects; nothing about a person."""
    proposed: Mapped[str | None] = mapped_column(Text, default=None)
    """The entry that would settle it, a JSON list of [ledger account, minor units]; debits are positive."""
    since: Mapped[datetime]
    """When it arose at Stripe."""
    seen_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="open")
    closed_at: Mapped[datetime | None] = mapped_column(default=None)
    proposal_id: Mapped[UUID | None] = mapped_column(ForeignKey("proposals.id"), unique=True, default=None)
    entry_id: Mapped[UUID | None] = mapped_column(ForeignKey("journal_entries.id"), unique=True, default=None)

    @property
    def postings(self) -> tuple[Posting, ...]:
        """The entry that would settle it."""
        return _postings(self.proposed)

    @property
    def says(self) -> dict[str, str]:
        """The facts, read."""
        return msgspec.json.decode(self.facts, type=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A difference as it was just found."""

    kind: str
    object_id: str
    since: datetime
    at_stripe: Money | None = None
    in_books: Money | None = None
    currency: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    proposed: Sequence[Posting] = ()


async def note(work: UnitOfWork, found: Found) -> bool:
    """Write a difference down, or that it is still there; true if it is new.

    One that two treasurers accepted as it is stays accepted until it changes.
    """
    values = {
        "at_stripe": found.at_stripe,
        "in_books": found.in_books,
        "currency": found.currency or work.settings.currency,
        "facts": json.dumps(dict(found.facts), sort_keys=True),
        "proposed": _written(found.proposed) if found.proposed else None,
    }
    same = Difference.kind == found.kind, Difference.object_id == found.object_id
    if await changed(
        work.session,
        update(Difference).where(*same, Difference.state == "open").values(**values, seen_at=work.now),
    ):
        return False
    last = await work.session.scalar(
        select(Difference)
        .where(*same, Difference.state == "accepted")
        .order_by(Difference.closed_at.desc())
        .limit(1)
    )
    if last is not None and all(getattr(last, name) == value for name, value in values.items()):
        return False
    return await insert_once(
        work.session,
        Difference,
        id=new_id(),
        kind=found.kind,
        object_id=found.object_id,
        since=found.since,
        seen_at=work.now,
        state="open",
        closed_at=None,
        proposal_id=None,
        entry_id=None,
        **values,
    )


async def gone(work: UnitOfWork, difference_id: UUID) -> bool:
    """Close a difference that is there no more."""
    return await changed(
        work.session,
        update(Difference)
        .where(Difference.id == difference_id, Difference.state == "open")
        .values(state="gone", closed_at=work.now),
    )


async def listed(
    work: UnitOfWork, *, everything: bool = False, after: UUID | None = None, most: int = 100
) -> Sequence[Difference]:
    """Return the open differences (or all), the oldest first, a page at a time."""
    statement = select(Difference).order_by(Difference.since, Difference.id).limit(most)
    if not everything:
        statement = statement.where(Difference.state == "open")
    if after is not None:
        last = await work.session.get(Difference, after)
        if last is None:
            raise NoSuchDifference
        statement = statement.where(
            (Difference.since > last.since) | ((Difference.since == last.since) & (Difference.id > after))
        )
    return (await work.session.scalars(statement)).all()


async def count(work: UnitOfWork) -> int:
    """Return how many are open."""
    return await work.session.scalar(select(func.count()).where(Difference.state == "open")) or 0


async def propose(
    work: UnitOfWork,
    difference_id: UUID,
    treasurer: UUID,
    *,
    reason: str,
    postings: Sequence[Posting] | None = None,
) -> Proposal:
    """Propose to settle a difference: by the entry that was suggested or another, or by accepting what needs none."""
    found = await _open(work, difference_id)
    chosen = found.postings if postings is None else tuple(postings)
    _check(found, chosen)
    document = {
        "difference": str(found.id),
        "kind": found.kind,
        "object": found.object_id,
        "seen": _fingerprint(found),
        "postings": [[posting.account, posting.amount.minor] for posting in chosen],
    }
    return await approvals.propose(
        work,
        treasurer,
        kind=PROPOSAL,
        document=json.dumps(document, sort_keys=True),
        role=ROLE,
        reason=reason,
    )


async def settle(work: UnitOfWork, proposal_id: UUID, treasurer: UUID) -> Difference:
    """Approve what another treasurer proposed, and carry it out in this unit."""
    proposal = await approvals.approve(work, proposal_id, treasurer)
    if proposal.kind != PROPOSAL:
        raise NoSuchDifference
    document = msgspec.json.decode(proposal.document)
    found = await _open(work, UUID(document["difference"]))
    if _fingerprint(found) != document["seen"]:
        raise DifferenceChanged
    postings = [Posting(chart.known(name), Money(minor)) for name, minor in document["postings"]]
    entry = None
    if postings:
        entry = await ledger.post(
            work,
            source=SOURCE,
            # A balance may differ again some day, a movement cannot.
            external_id=str(found.id) if found.kind == "balance" else found.object_id,
            description=f"Settles a difference with Stripe ({found.kind}): {proposal.reason}"[:300],
            postings=postings,
        )
    settled = await changed(
        work.session,
        update(Difference)
        .where(Difference.id == found.id, Difference.state == "open")
        .values(
            state="accepted" if entry is None else "settled",
            closed_at=work.now,
            proposal_id=proposal.id,
            entry_id=None if entry is None else entry.id,
        ),
    )
    if not settled:
        raise NoSuchDifference
    await work.session.refresh(found)
    return found


async def _open(work: UnitOfWork, difference_id: UUID) -> Difference:
    found = await work.session.get(Difference, difference_id, populate_existing=True)
    if found is None or found.state != "open":
        raise NoSuchDifference
    return found


def _check(found: Difference, postings: Sequence[Posting]) -> None:
    """Refuse an entry that would not settle the difference."""
    if found.kind not in MONEY:
        if postings:
            raise Invalid(
                "No entry settles this: mend it at Stripe, or accept it as it is.", field="postings"
            )
        return
    for posting in postings:
        chart.known(posting.account)
    if sum(posting.amount.minor for posting in postings):
        raise Invalid("The debits and credits of the entry are not equal.", field="postings")
    apart = (found.at_stripe or ZERO) - (found.in_books or ZERO)
    if moves(postings, STRIPE) != apart:
        raise Invalid(
            f"The entry must move {STRIPE} by {apart.minor} minor units, as Stripe did.", field="postings"
        )


def _fingerprint(found: Difference) -> list[object]:
    """Return what must not change between the proposal and its approval."""
    return [
        None if found.at_stripe is None else found.at_stripe.minor,
        None if found.in_books is None else found.in_books.minor,
        found.facts,
    ]


def _written(postings: Sequence[Posting]) -> str:
    return json.dumps([[posting.account, posting.amount.minor] for posting in postings])


def _postings(document: str | None) -> tuple[Posting, ...]:
    rows = msgspec.json.decode(document or "[]", type=list[tuple[str, int]])
    return tuple(Posting(chart.known(name), Money(minor)) for name, minor in rows)
