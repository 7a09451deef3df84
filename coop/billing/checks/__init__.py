"""The books held against what they are about: `coop books check` names each payment, term, gift or receipt that they do not tell truly.

`coop.ledger.checks` says whether the journal is whole by itself. Here every row of the cooperative's own tables must
have its entry with its figures, every entry its row, and what is owed must be what those rows say is owed.
"""

import msgspec

from coop import policies
from coop.billing.checks import entries, papers, payments, purses, vat, years
from coop.ledger import checks
from coop.ledger.checks import Report
from coop.policies import Dues
from coop.policies.versions import NotFounded
from coop.unit_of_work import UnitOfWork


async def run(work: UnitOfWork) -> Report:
    """Check the books by themselves and against all other tables; give it a snapshot."""
    try:
        days = (await policies.in_force(work, Dues)).document.withdrawal_days
    except NotFounded:
        # Not founded yet, so nobody has paid for anything.
        days = checks.WITHDRAWAL_DAYS
    journal = await checks.run(work, withdrawal_days=days)
    more = (
        await entries.rows_booked(work),
        await entries.entries_founded(work),
        await payments.payments_agree(work),
        await years.terms_funded(work),
        await years.months_recognised(work),
        await years.dues_deferred(work),
        await purses.purses_agree(work),
        await purses.nobody_owes_credit(work),
        await vat.vat_lines(work),
        await vat.vat_of_years(work),
        await vat.vat_owed(work),
        await papers.receipts_numbered(work),
    )
    return msgspec.structs.replace(
        journal, ok=journal.ok and all(check.ok for check in more), checks=journal.checks + more
    )
