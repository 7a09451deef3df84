"""What holds of each entry and posting by itself."""

from sqlalchemy import BigInteger, func, or_, select, type_coerce

from coop.ledger import chart
from coop.ledger.chart import LedgerAccount
from coop.ledger.checks.report import MOST_FINDINGS, Check, Finding, check, named, plain
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.money import Money
from coop.unit_of_work import UnitOfWork

# As plain numbers: the sums of whole books may exceed what one amount of money may be.
_MINOR = type_coerce(EntryPosting.amount, BigInteger)
_REVERSE = (
    "Restore the entry from a backup. If no backup has it, book the opposite of what is wrong (two treasurers, with the "
    "reason), and keep this report with it"
)


async def entries_balance(work: UnitOfWork) -> Check:
    """Each entry has all its postings, and they sum to zero."""
    summed = func.coalesce(func.sum(_MINOR), 0)
    counted = func.count(EntryPosting.position)
    crooked = (
        select(JournalEntry.id, counted.label("counted"), summed.label("summed"))
        .outerjoin(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .group_by(JournalEntry.id, JournalEntry.size)
        .having(or_(counted != JournalEntry.size, summed != 0))
        .subquery()
    )
    total = await work.session.scalar(select(func.count()).select_from(crooked)) or 0
    rows = await work.session.execute(
        select(JournalEntry, crooked.c.counted, crooked.c.summed)
        .join(crooked, crooked.c.id == JournalEntry.id)
        .order_by(JournalEntry.recorded_at, JournalEntry.id)
        .limit(MOST_FINDINGS)
    )
    findings = [
        Finding(
            where=named(entry),
            expected=f"{entry.size} postings that sum to {plain(work.settings, 0)}",
            found=f"{count} postings that sum to {plain(work.settings, int(total_))}: {await _spelled(work, entry)}",
            remedy=_REVERSE,
        )
        for entry, count, total_ in rows
    ]
    return check(
        "entries_balance",
        findings,
        more=total - len(findings),
        holds="every entry balances and has all its postings",
    )


async def postings_belong(work: UnitOfWork) -> Check:
    """Each posting belongs to an entry; what the foreign key forbids, a restored or foreign file may still hold."""
    lost = (
        select(EntryPosting)
        .outerjoin(JournalEntry, JournalEntry.id == EntryPosting.entry_id)
        .where(JournalEntry.id.is_(None))
    )
    total = await work.session.scalar(select(func.count()).select_from(lost.subquery())) or 0
    rows = await work.session.scalars(
        lost.order_by(EntryPosting.entry_id, EntryPosting.position).limit(MOST_FINDINGS)
    )
    findings = [
        Finding(
            where=f"posting {posting.position} of entry {posting.entry_id}",
            expected="an entry to which it belongs",
            found=f"no such entry; the posting says {posting.account} {plain(work.settings, posting.amount.minor)}",
            remedy="Restore the entry from a backup; its postings outlived it",
        )
        for posting in rows
    ]
    return check(
        "postings_belong",
        findings,
        more=total - len(findings),
        holds="every posting belongs to an entry",
    )


async def known_accounts(work: UnitOfWork, sums: dict[LedgerAccount, Money]) -> Check:
    """Each posting is on a ledger account of the chart."""
    findings = []
    for name in sums:
        try:
            chart.known(name)
        except chart.BadLedgerAccount:
            rows = await work.session.execute(
                select(JournalEntry, EntryPosting.position, _MINOR)
                .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
                .where(EntryPosting.account == name)
                .order_by(JournalEntry.recorded_at, JournalEntry.id)
                .limit(MOST_FINDINGS)
            )
            findings += [
                Finding(
                    where=f"posting {position} of {named(entry)}",
                    expected="a ledger account of the chart (docs/books.md)",
                    found=f"{name!r}, {plain(work.settings, int(amount))}",
                    remedy=_REVERSE,
                )
                for entry, position, amount in rows
            ]
    return check("known_accounts", findings, holds="all names are in the chart")


async def policy_named(work: UnitOfWork) -> Check:
    """Each movement of dues names the policy version behind it."""
    nameless = (
        select(JournalEntry)
        .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .where(JournalEntry.policy_version.is_(None), EntryPosting.account == chart.DEFERRED_DUES)
        .distinct()
    )
    total = await work.session.scalar(select(func.count()).select_from(nameless.subquery())) or 0
    rows = await work.session.scalars(
        nameless.order_by(JournalEntry.recorded_at, JournalEntry.id).limit(MOST_FINDINGS)
    )
    findings = [
        Finding(
            where=named(entry),
            expected="the policy version that justifies a movement of dues",
            found="none",
            remedy="Restore the entry from a backup, or book its opposite and then what was meant, by the program",
        )
        for entry in rows
    ]
    return check(
        "policy_named",
        findings,
        more=total - len(findings),
        holds="every movement of dues names its policy version",
    )


async def _spelled(work: UnitOfWork, entry: JournalEntry) -> str:
    rows = await work.session.execute(
        select(EntryPosting.account, _MINOR)
        .where(EntryPosting.entry_id == entry.id)
        .order_by(EntryPosting.position)
    )
    return (
        "; ".join(f"{account} {plain(work.settings, int(amount))}" for account, amount in rows)
        or "none are left"
    )
