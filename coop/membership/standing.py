"""Standing: where an account is with its membership, as its owner and the stewards see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select

from coop.identity.accounts import Account
from coop.membership.terms import Term
from coop.unit_of_work import UnitOfWork

State = Literal["active", "grace", "none"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Active or in grace, and until when; `renewed` tells that the year after the running one is granted already."""

    state: State
    ends: datetime | None = None
    """The end of the last granted year."""
    grace_until: datetime | None = None
    """When membership ends if that year is the last."""
    renewed: bool = False


NONE = Standing("none")


async def of(work: UnitOfWork, account_id: UUID) -> Standing:
    """Return the standing of one account."""
    return (await of_many(work, [account_id]))[account_id]


async def of_many(work: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """Return the standing of each account; one query, however many. Locked and erased accounts have none."""
    rows = await work.session.scalars(
        select(Term)
        .join(Account, Account.id == Term.account_id)
        .where(
            Term.account_id.in_(ids),
            Account.locked_at.is_(None),
            Account.erased_at.is_(None),
            func.coalesce(Term.ended_early_at, Term.grace_until) > work.now,
        )
        .order_by(Term.ordinal)
    )
    terms: dict[UUID, list[Term]] = {}
    for term in rows:
        terms.setdefault(term.account_id, []).append(term)
    return {account_id: _standing(terms.get(account_id, []), work.now) for account_id in ids}


def _standing(terms: Sequence[Term], now: datetime) -> Standing:
    """Judge the terms of one account that have not run out; withdrawn ones that lie ahead do not count."""
    alive = [term for term in terms if not term.void]
    if not alive:
        return NONE
    last = alive[-1]
    running = any(term.begins <= now < (term.ended_early_at or term.ends) for term in alive)
    return Standing(
        "active" if running else "grace",
        ends=last.ended_early_at or last.ends,
        grace_until=last.last_instant,
        renewed=last.begins > now,
    )
