"""Who may vote, second and propose at an instant: persons who are members of at least the set age, whoever paid for their year."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, exists, func, select

from coop.clock import local_date
from coop.errors import NotAllowed
from coop.identity.accounts import Account
from coop.membership.organisations import Organisation
from coop.membership.terms import Term
from coop.policies import Voting, in_force
from coop.unit_of_work import UnitOfWork


class NotEntitled(NotAllowed):
    """That is for members who have been with the cooperative for long enough to vote."""

    code = "not_entitled"


async def entitled(work: UnitOfWork, instant: datetime) -> Select[UUID]:
    """Return the query for who may vote at `instant`: in a year or its grace, and a member for long enough.

    The age counts from the first day of the running membership, through all renewals. Organisations pay more and have
    no vote: each of their people may have one.
    """
    voting = (await in_force(work, Voting)).document
    oldest = local_date(instant, work.settings.zone) - timedelta(days=voting.minimum_membership_days)
    return (
        select(Term.account_id)
        .distinct()
        .join(Account, Account.id == Term.account_id)
        .where(
            Account.erased_at.is_(None),
            Account.locked_at.is_(None),
            ~exists().where(Organisation.account_id == Term.account_id),
            Term.first_day <= oldest,
            Term.begins <= instant,
            func.coalesce(Term.ended_early_at, Term.grace_until) > instant,
        )
        .order_by(Term.account_id)
    )


async def includes(work: UnitOfWork, account_id: UUID) -> bool:
    """Tell whether a person may vote on a motion that were announced now."""
    found = (await entitled(work, work.now)).where(Term.account_id == account_id)
    return await work.session.scalar(found) is not None


async def require(work: UnitOfWork, account_id: UUID) -> None:
    """Refuse whoever could not vote now."""
    if not await includes(work, account_id):
        raise NotEntitled
