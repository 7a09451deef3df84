"""What holds of whole ledger accounts: debits equal credits, rows equal postings, nothing owed is below zero, money covers it."""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import BigInteger, func, or_, select, type_coerce

from coop.clock import local_date
from coop.ledger import chart
from coop.ledger.balances import LedgerBalance
from coop.ledger.chart import LedgerAccount
from coop.ledger.checks.report import Check, Cover, Finding, check, named, plain
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.unit_of_work import UnitOfWork

_MONEY = (chart.STRIPE, chart.STRIPE_PENDING, chart.BANK, chart.CASH)
_OWED = (
    chart.POOL,
    chart.RESERVED,
    chart.GIFTS_OUTSTANDING,
    chart.MEMBER_CREDIT,
    chart.VAT_PAYABLE,
)
_MINOR = type_coerce(EntryPosting.amount, BigInteger)


def trial_balance(work: UnitOfWork, debits: int, credits_: int) -> Check:
    """All debits equal all credits."""
    both = f"debits {plain(work.settings, debits)}, credits {plain(work.settings, credits_)}"
    findings = []
    if debits != credits_:
        findings.append(
            Finding(
                where="the whole journal",
                expected="debits equal to credits",
                found=f"{both}: {plain(work.settings, debits - credits_)} too much on the left",
                remedy="See entries_balance and postings_belong, which name the entries that cause it",
            )
        )
    return check("trial_balance", findings, holds=both)


async def balance_rows(work: UnitOfWork, balances: dict[LedgerAccount, int]) -> Check:
    """The pool's balance rows equal its postings."""
    rows = {
        account: amount.minor
        for account, amount in await work.session.execute(select(LedgerBalance.account, LedgerBalance.amount))
    }
    findings = [
        Finding(
            where=f"the balance row of {name}",
            expected=f"{plain(work.settings, balances.get(name, 0))}, the sum of its postings",
            found="no row" if name not in rows else plain(work.settings, rows[name]),
            remedy="If all other rules hold, the row is wrong: stop the service and set it to the sum of the postings. "
            "Until then the pool gives too much or too little",
        )
        for name in chart.GUARDED
        if rows.get(name) != balances.get(name, 0)
    ]
    return check("balance_rows", findings, holds="the pool's rows equal its postings")


async def nothing_overdrawn(work: UnitOfWork, balances: dict[LedgerAccount, int]) -> Check:
    """Nothing that is owed is below zero; what overdrew an account is named."""
    findings = []
    for name, amount in balances.items():
        if amount >= 0 or not (
            name.startswith("Liabilities:") or name in {chart.DISPUTED, chart.STRIPE_PENDING}
        ):
            continue
        if name == chart.VAT_PAYABLE:
            # What goes back after its VAT was paid over is the tax office's to return; `vat_owed` holds the balance.
            continue
        since = await _below_since(work, name)
        findings.append(
            Finding(
                where=str(name),
                expected=f"at least {plain(work.settings, 0)}",
                found=plain(work.settings, amount)
                + ("" if since is None else f", below zero since {named(since)}"),
                remedy="More left this account than came in: that entry, or one after it, paid out what nobody had brought. "
                "Find what is missing before it, or reverse it (two treasurers)",
            )
        )
    return check("nothing_overdrawn", findings, holds="nothing owed is below zero")


async def covered(work: UnitOfWork, balances: dict[LedgerAccount, int], days: int) -> tuple[Cover, Check]:
    """The money at hand, with what operations advanced, covers what belongs to others."""
    cover = await _cover(work, balances, days)
    said = (
        f"money {plain(work.settings, cover.money)}, advanced by operations {plain(work.settings, cover.advanced)}, "
        f"owed {plain(work.settings, cover.owed)}"
    )
    findings = []
    short = cover.owed - cover.money - cover.advanced
    if short > 0:
        findings.append(
            Finding(
                where="Stripe, pending, bank and cash, all together",
                expected=f"at least {plain(work.settings, cover.owed - cover.advanced)}: what is owed to pool, gifts, members, "
                "networks and the tax office, less what operations advanced for fees",
                found=f"{plain(work.settings, cover.money)}, {plain(work.settings, short)} too little",
                remedy="Pay nothing to networks until it is settled. Look for money that came and was not booked (bank statements, "
                "`coop books reconcile`), or bring in what is missing",
            )
        )
    return cover, check("cover", findings, holds=said)


async def _below_since(work: UnitOfWork, name: LedgerAccount) -> JournalEntry | None:
    """Return the entry that took an account below zero for the time that still lasts."""
    sign = 1 if chart.grows_by_debit(name) else -1
    rows = await work.session.execute(
        select(JournalEntry.id, func.sum(_MINOR))
        .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .where(EntryPosting.account == name)
        .group_by(JournalEntry.id, JournalEntry.recorded_at)
        .order_by(JournalEntry.recorded_at, JournalEntry.id)
    )
    balance, since = 0, None
    for entry_id, moved in rows:
        balance += sign * int(moved)
        since = (since or entry_id) if balance < 0 else None
    return None if since is None else await work.session.get(JournalEntry, since)


async def _cover(work: UnitOfWork, balances: dict[LedgerAccount, int], days: int) -> Cover:
    def of(names: Sequence[str]) -> int:
        return sum(amount for name, amount in balances.items() if name in names)

    def under(root: str) -> int:
        return sum(amount for name, amount in balances.items() if name.startswith(root))

    # Dues that are still to come by instalments are not with us, and are not given back.
    deferred = balances.get(chart.DEFERRED_DUES, 0) - balances.get(chart.INSTALMENTS_DUE, 0)
    refundable = await _refundable(work, deferred, days)
    return Cover(
        money=of(_MONEY),
        owed=of(_OWED) + under("Liabilities:Networks:") + refundable,
        refundable=refundable,
        advanced=max(0, under("Expenses:") - under("Income:")),
    )


async def _refundable(work: UnitOfWork, deferred: int, days: int) -> int:
    """Return the dues granted within the days of withdrawal, as far as they are paid and still deferred."""
    since = local_date(work.now, work.settings.zone) - dt.timedelta(days=days)
    granted = await work.session.scalar(
        select(func.coalesce(func.sum(_MINOR), 0))
        .join(JournalEntry, JournalEntry.id == EntryPosting.entry_id)
        .where(
            EntryPosting.account == chart.DEFERRED_DUES,
            # Without the VAT in it, which is owed besides.
            or_(_MINOR < 0, JournalEntry.source == chart.VAT),
            JournalEntry.date > since,
            # What was bought elsewhere, before these books, cannot be given back here.
            JournalEntry.source != chart.OPENING,
        )
    )
    return max(0, min(deferred, -int(granted or 0)))
