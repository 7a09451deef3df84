"""What must hold of the journal by itself at any moment; `coop.billing.checks` holds it against what it is about."""

import msgspec
from sqlalchemy import BigInteger, case, func, select, type_coerce

from coop.ledger import sealer
from coop.ledger.balances import natural
from coop.ledger.balances import trial_balance as sums_of
from coop.ledger.checks.balances import balance_rows, covered, nothing_overdrawn, trial_balance
from coop.ledger.checks.chain import chain_holds
from coop.ledger.checks.journal import entries_balance, known_accounts, policy_named, postings_belong
from coop.ledger.checks.report import Chain, Check, Cover, Finding, Report
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.unit_of_work import UnitOfWork

__all__ = ["Chain", "Check", "Cover", "Finding", "Report", "run", "schema"]

WITHDRAWAL_DAYS = 14
"""The least that the law of dues may say."""
# As plain numbers: the sums of whole books may exceed what one amount of money may be.
_MINOR = type_coerce(EntryPosting.amount, BigInteger)


async def run(work: UnitOfWork, *, withdrawal_days: int = WITHDRAWAL_DAYS) -> Report:
    """Check the books; give it a snapshot, so that all sums are of one moment.

    `withdrawal_days` is how long a new year can be given back, as the dues in force say.
    """
    debits_credits = (
        await work.session.execute(
            select(
                func.count(),
                func.coalesce(func.sum(case((_MINOR > 0, _MINOR))), 0),
                func.coalesce(func.sum(case((_MINOR < 0, _MINOR))), 0),
            ).select_from(EntryPosting)
        )
    ).one()
    postings, debits, credits_ = (int(value) for value in debits_credits)
    sums = await sums_of(work)
    balances = {name: natural(name, amount).minor for name, amount in sums.items()}
    cover, covers = await covered(work, balances, withdrawal_days)
    checks = (
        trial_balance(work, debits, -credits_),
        await entries_balance(work),
        await postings_belong(work),
        await balance_rows(work, balances),
        await known_accounts(work, sums),
        await nothing_overdrawn(work, balances),
        await policy_named(work),
        covers,
        await chain_holds(work),
    )
    head = await sealer.head(work)
    return Report(
        ok=all(check.ok for check in checks),
        currency=work.settings.money.code,
        entries=await work.session.scalar(select(func.count()).select_from(JournalEntry)) or 0,
        postings=postings,
        debits=debits,
        credits=-credits_,
        sums={str(name): amount for name, amount in balances.items()},
        cover=cover,
        chain=Chain(
            length=head[0] if head else 0, lag=await sealer.lag(work), head=head[1] if head else None
        ),
        checks=checks,
    )


def schema() -> bytes:
    """Return the JSON Schema of the report, as docs/schemas keeps it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Report), order="sorted"), indent=2)
