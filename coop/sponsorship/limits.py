"""Limits: who may ask for a year, so that nobody takes two and one person does not take many.

A confirmed address belongs to one account only (the database sees to it). That makes many places dear, not impossible:
it does not prove that a person is one.
"""

from datetime import datetime, timedelta
from uuid import UUID

from coop import policies
from coop.errors import NotAllowed, Refused
from coop.identity.accounts import Account
from coop.membership import obstacles, organisations, terms
from coop.membership.years import Last
from coop.policies import Dues, Pool
from coop.unit_of_work import UnitOfWork


class EmailNeeded(NotAllowed):
    """A first place needs an e-mail address that you have confirmed: it keeps one person from taking many."""

    code = "verified_email_needed"


class AddressUsed(Refused):
    """Another account has a first place with this e-mail address. Use that account, or pay what a year costs."""

    code = "address_used"


class AlreadyMember(Refused):
    """Your membership runs long enough; there is nothing to pay or to ask for yet."""

    code = "already_member"


async def may_renew(work: UnitOfWork, account_id: UUID) -> None:
    """Refuse whoever is paid up beyond the first notice of the end."""
    latest = await terms.latest(work, account_id)
    if latest is None:
        return
    notice = max((await policies.in_force(work, Dues)).document.notice_days)
    if runs_on(latest.as_last, work.now + timedelta(days=notice)):
        raise AlreadyMember


async def newcomer(work: UnitOfWork, account_id: UUID) -> bool:
    """Tell whether a year would be the first that an account keeps.

    One that was given back within its first days made nobody a member of before: else whoever pays, withdraws and has
    everything back would ask next time without a confirmed address, and outside the month's cap.
    """
    days = (await policies.in_force(work, Dues)).document.withdrawal_days
    # Years begin with their day; the days of a withdrawal are counted from the payment, later on that day.
    kept = timedelta(days=days + 1)
    return not any(
        term.ended_early_at is None or term.ended_early_at > term.begins + kept
        for term in await terms.history(work, account_id)
    )


def runs_on(last: Last | None, until: datetime) -> bool:
    """Tell whether an account's newest year goes on beyond an instant: the first notice of its end."""
    return last is not None and last.ended_early_at is None and last.ends > until


async def may_ask(work: UnitOfWork, account_id: UUID, *, first: bool) -> None:
    """Refuse a place to whoever needs none yet, and a first one to an account without a confirmed address."""
    await organisations.require_person(work, account_id)
    await may_renew(work, account_id)
    await obstacles.none_before(work, account_id)
    law = (await policies.in_force(work, Pool)).document
    if not first or not law.verified_email:
        return
    account = await work.session.get_one(Account, account_id)
    if account.email is None or account.email_verified_at is None:
        raise EmailNeeded
