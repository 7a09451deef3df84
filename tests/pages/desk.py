"""A steward's desk with something of everything on it."""

from datetime import timedelta

from coop.billing.desk import acts
from coop.billing.desk.acts import Cash, SendBack
from coop.billing.offline import matching, statements, transactions, transfers
from coop.identity.accounts import Account
from coop.money import Money
from coop.stewardship import roles
from coop.stewardship.roles import RoleName
from coop.unit_of_work import Units

LINES = b"date,amount,text,payer,iban\n2026-03-05,25.00,for Ada,Ada L.,US01\n2026-03-06,7.00,?,Bo,US02\n2026-03-06,250.00,big,Cy,US03\n"


async def treasurer(units: Units, account: Account) -> None:
    """Make somebody a treasurer."""
    await _grant(units, account, "treasurer")


async def steward(units: Units, account: Account) -> None:
    """Make somebody a steward and no treasurer."""
    await _grant(units, account, "steward")


async def _grant(units: Units, account: Account, role: RoleName) -> None:
    async with units.open() as work:
        until = work.now + timedelta(days=365)
        await roles.grant(work, account.id, role, until=until, act="founding", reason="First one")


async def laid(units: Units, one: Account, member: Account) -> None:
    """Bring in a statement, send a credit back, propose cash; announce a transfer of `one`."""
    await matching.bring_in(units, statements.read(LINES, units.settings.money))
    async with units.open() as work:
        small = next(found for found in await transactions.unmatched(work) if found.amount == Money(700))
        await acts.decide(work, SendBack(transaction_id=small.id), by=one.id, reason="Nobody knows it")
        cash = Cash(account_id=member.id, amount=2500, purpose="dues")
        await acts.decide(work, cash, by=one.id, reason="Paid at the assembly")
        await transfers.announce(work, one.id, Money(2500))
