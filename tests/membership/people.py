"""Accounts for tests of membership; how they sign in is of no interest here."""

from uuid import UUID, uuid4

from coop import policies
from coop.identity.accounts import Account
from coop.membership import terms
from coop.membership.terms import Term
from coop.policies import Dues
from coop.unit_of_work import UnitOfWork


async def newcomer(work: UnitOfWork, *, email: str | None = None) -> UUID:
    account = Account(
        handle=f"m{uuid4().hex[:12]}",
        created_at=work.now,
        email=email,
        email_verified_at=work.now if email else None,
    )
    work.session.add(account)
    await work.session.flush()
    return account.id


async def grant(work: UnitOfWork, account_id: UUID) -> Term:
    return await terms.begin(work, account_id, dues=await policies.in_force(work, Dues))
