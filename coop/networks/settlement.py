"""Settlement, first step: as each month of a term passes, its dues become the networks', operations' and the reserve's.

Month k of a term at price p, less the VAT in it, recognises floor(p·k/12) minus what went before, so that twelve months make
it to the cent.
The shares in force at the month's end divide it; the networks' part goes in equal parts to the networks that the member was
linked to in that month, else to the common fund. Who paid for the term plays no part.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, literal, select
from sqlalchemy.orm import Mapped, mapped_column

from coop import bulk, policies
from coop.clock import midnight, month_anniversary
from coop.database import Base, insert_missing
from coop.ledger import journal
from coop.ledger.chart import COMMON_FUND, DEFERRED_DUES, OPERATIONS, RESERVE, network_payable
from coop.ledger.entries import Posting, credit, debit
from coop.ledger.journal import Draft
from coop.membership.terms import Term
from coop.money import Money, apportion
from coop.networks.links import Link
from coop.networks.networks import Network
from coop.policies import Shares, Version
from coop.unit_of_work import UnitOfWork, Units

SOURCE = "recognition"
MONTHS = 12
BATCH = 250
"""Months in one unit of work, each of another term: so few that on SQLite nobody waits long for the one writer."""


class Recognition(Base):
    """How many months of a term have been recognised, and when the next one is due; empty once there is none."""

    __tablename__ = "recognitions"
    __table_args__ = (CheckConstraint("months >= 0 AND months <= 12", name="months"),)

    term_id: Mapped[UUID] = mapped_column(ForeignKey("terms.id"), primary_key=True)
    months: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(index=True)


def recognised(price: Money, months: int) -> Money:
    """Return how much of `price` is recognised once so many months have passed."""
    return Money(price.minor * months // MONTHS)


def month_end(term: Term, month: int, work: UnitOfWork) -> datetime:
    """Return the instant at which the `month`-th month of `term` ends, counted from the first day of all."""
    months = (term.year - 1) * MONTHS + month
    return midnight(month_anniversary(term.first_day, months), work.settings.zone)


def divide(amount: Money, shares: Shares, slugs: Sequence[str], *, salt: str) -> list[Posting]:
    """Return the postings that divide `amount` by `shares`, the networks' part equally among `slugs`; exact to the cent."""
    parts = apportion(
        amount,
        {"networks": shares.networks, "operations": shares.operations, "reserve": shares.reserve},
        salt=salt,
    )
    if slugs:
        among = apportion(parts["networks"], dict.fromkeys(slugs, 1), salt=salt)
        networks = [credit(network_payable(slug), part) for slug, part in sorted(among.items())]
    else:
        networks = [credit(COMMON_FUND, parts["networks"])]
    return [
        debit(DEFERRED_DUES, amount),
        credit(OPERATIONS, parts["operations"]),
        credit(RESERVE, parts["reserve"]),
        *networks,
    ]


async def recognise_due(units: Units) -> int:
    """Recognise every month that has passed and return how many; each once, however often and wherever this runs.

    Each round books one month of many terms, in as many statements as for one.
    """
    async with units.open() as work:
        await _enrol(work)
    booked = 0
    while True:
        async with units.open() as work:
            due = await _claim(work)
            booked += await _recognise(work, due)
        if not due:
            return booked


async def _enrol(work: UnitOfWork) -> None:
    """Take up terms that are new since the last time; another worker may do so at the same moment."""
    new = (
        select(Term.id, literal(0), Term.begins)
        .outerjoin(Recognition, Recognition.term_id == Term.id)
        .where(Recognition.term_id.is_(None))
    )
    await insert_missing(work.session, Recognition, ("term_id", "months", "next_at"), new)


async def _claim(work: UnitOfWork) -> list[tuple[Recognition, Term]]:
    """Return terms with something due; on PostgreSQL another worker passes over them until this unit ends."""
    rows = await work.session.execute(
        select(Recognition, Term)
        .join(Term, Term.id == Recognition.term_id)
        .where(Recognition.next_at <= work.now)
        .order_by(Recognition.next_at)
        .limit(BATCH)
        .with_for_update(of=Recognition, skip_locked=True)
    )
    return [(recognition, term) for recognition, term in rows]


async def _recognise(work: UnitOfWork, due: Sequence[tuple[Recognition, Term]]) -> int:
    used = await _links(work, {term.account_id for _, term in due})
    law = await policies.history(work, Shares)
    drafts: list[Draft] = []
    passed: list[tuple[UUID, int, datetime | None]] = []
    for recognition, term in due:
        month = recognition.months
        # A term that ended early recognises nothing further: its dues were given back.
        last = term.ended_early_at or term.ends
        ends = month_end(term, month + 1, work)
        if month < MONTHS and ends <= min(work.now, last):
            month += 1
            drafts.append(_draft(work, term, month, ends, _in_force(law, ends), used[term.account_id]))
        following = month_end(term, month + 1, work)
        passed.append((term.id, month, None if month == MONTHS or following > last else following))
    if drafts:
        await journal.post_all(work, drafts)
    await bulk.update(work.session, Recognition, "term_id", ("months", "next_at"), passed, where={})
    return len(drafts)


def _draft(
    work: UnitOfWork,
    term: Term,
    month: int,
    ends: datetime,
    shares: Version[Shares],
    links: Sequence[tuple[Link, str]],
) -> Draft:
    begins = month_end(term, month - 1, work)
    slugs = [
        slug
        for link, slug in links
        if link.linked_at < ends and (link.ended_at is None or link.ended_at > begins)
    ]
    amount = recognised(term.net, month) - recognised(term.net, month - 1)
    key = f"{term.id}:{month}"
    # No person stands beside it: the books need not know which networks somebody uses.
    return Draft(
        source=SOURCE,
        external_id=key,
        description=f"Month {month} of a year of membership",
        postings=divide(amount, shares.document, slugs, salt=key),
        policy_version=shares.id,
    )


async def _links(work: UnitOfWork, accounts: set[UUID]) -> dict[UUID, list[tuple[Link, str]]]:
    rows = await work.session.execute(
        select(Link, Network.slug)
        .join(Network, Network.id == Link.network_id)
        .where(Link.account_id.in_(accounts))
    )
    found: dict[UUID, list[tuple[Link, str]]] = defaultdict(list)
    for link, slug in rows:
        found[link.account_id].append((link, slug))
    return found


def _in_force(law: Sequence[Version[Shares]], instant: datetime) -> Version[Shares]:
    """Return the shares that were law at `instant`; the first there were, for months from before the founding."""
    return next((version for version in reversed(law) if version.effective_at <= instant), law[0])
