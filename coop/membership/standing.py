"""Standing: where an account is with its membership, as its owner and the stewards see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, func, select

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


class Year(NamedTuple):
    """What a term says of its account's standing."""

    begins: datetime
    ends: datetime
    grace_until: datetime
    ended_early_at: datetime | None

    @property
    def void(self) -> bool:
        """Whether this year was given back before it began: then it never was."""
        return self.ended_early_at is not None and self.ended_early_at <= self.begins


YEAR = (Term.begins, Term.ends, Term.grace_until, Term.ended_early_at)
"""The columns of a `Year`."""


def reaches(instant: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Return the condition for terms that cover their account after `instant`, grace included."""
    return func.coalesce(Term.ended_early_at, Term.grace_until) > instant


async def of_many(work: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """Return the standing of each account; one query, however many. Locked and erased accounts have none."""
    rows = await work.session.execute(
        select(Term.account_id, *YEAR)
        .join(Account, Account.id == Term.account_id)
        .where(
            Term.account_id.in_(ids),
            Account.locked_at.is_(None),
            Account.erased_at.is_(None),
            reaches(work.now),
        )
        .order_by(Term.ordinal)
    )
    years: dict[UUID, list[Year]] = {}
    for account_id, begins, ends, grace_until, ended_early_at in rows:
        years.setdefault(account_id, []).append(Year(begins, ends, grace_until, ended_early_at))
    return {account_id: judge(years.get(account_id, []), work.now) for account_id in ids}


def judge(years: Sequence[Year], now: datetime) -> Standing:
    """Judge the years of one account that reach beyond `now`, in order; those given back do not count."""
    alive = [year for year in years if not year.void]
    if not alive:
        return NONE
    last = alive[-1]
    running = any(year.begins <= now < (year.ended_early_at or year.ends) for year in alive)
    return Standing(
        "active" if running else "grace",
        ends=last.ended_early_at or last.ends,
        grace_until=last.ended_early_at or last.grace_until,
        renewed=last.begins > now,
    )
