"""Every row that moves money has its entry with its figures, and every such entry has its row."""

from sqlalchemy import BigInteger, and_, func, select, type_coerce

from coop.billing.checks.booked import Booked, founded, money_rules
from coop.ledger import EntryPosting, JournalEntry
from coop.ledger.checks.report import MOST_FINDINGS, Check, Finding, check, named, plain
from coop.unit_of_work import UnitOfWork

_MINOR = type_coerce(EntryPosting.amount, BigInteger)


async def rows_booked(work: UnitOfWork) -> Check:
    """Payments, refunds, disputes, gifts and what the pool keeps have their entries, with their sums."""
    findings, total = await breaches(work, money_rules(work))
    return check(
        "rows_booked",
        findings,
        more=total - len(findings),
        holds="payments, refunds, disputes, gifts and the pool's parts have their entries",
    )


async def entries_founded(work: UnitOfWork) -> Check:
    """No entry speaks of a payment, refund, dispute, gift, place, plan or withdrawal that there is not."""
    findings: list[Finding] = []
    total = 0
    for source, known in founded(work).items():
        stray = select(JournalEntry).where(
            JournalEntry.source == source, *(JournalEntry.external_id.not_in(ids) for ids in known)
        )
        total += await work.session.scalar(select(func.count()).select_from(stray.subquery())) or 0
        rows = await work.session.scalars(
            stray.order_by(JournalEntry.recorded_at, JournalEntry.id).limit(MOST_FINDINGS)
        )
        findings += [
            Finding(
                where=named(entry),
                expected=f"a {source} behind it, in a state that it tells of",
                found="none",
                remedy="Restore the row from a backup if it was lost. If there never was one, reverse the entry (two treasurers)",
            )
            for entry in rows
        ]
    return check(
        "entries_founded", findings, more=total - len(findings), holds="no entry speaks of what there is not"
    )


async def breaches(work: UnitOfWork, rules: list[Booked]) -> tuple[list[Finding], int]:
    """Return where rows and their entries differ, and how many there are altogether."""
    findings: list[Finding] = []
    total = 0
    for rule in rules:
        wanted = rule.rows.subquery()
        moved = func.coalesce(func.sum(_MINOR), 0)
        columns = (wanted.c.named, wanted.c.external_id, wanted.c.account, wanted.c.amount, JournalEntry.id)
        differing = (
            select(*columns, moved.label("moved"))
            .select_from(wanted)
            .outerjoin(
                JournalEntry,
                and_(JournalEntry.source == rule.source, JournalEntry.external_id == wanted.c.external_id),
            )
            .outerjoin(
                EntryPosting,
                and_(EntryPosting.entry_id == JournalEntry.id, EntryPosting.account == wanted.c.account),
            )
            .group_by(*columns)
            .having(moved != wanted.c.amount)
        )
        rows = (await work.session.execute(differing.order_by(wanted.c.named))).all()
        total += len(rows)
        for name, external_id, account, amount, entry, found in rows[:MOST_FINDINGS]:
            findings.append(
                Finding(
                    where=f"{rule.what} {name}",
                    expected=f"entry ({rule.source} {external_id}) with {_side(work, int(amount))} on {account}",
                    found="no such entry"
                    if entry is None
                    else f"entry {entry} with {_side(work, int(found))} there",
                    remedy="Find out which of the two is true (the processor's dashboard, the bank, a backup). Restore the one that "
                    "was changed or lost",
                )
            )
    return findings, total


def _side(work: UnitOfWork, amount: int) -> str:
    return f"a {'credit' if amount < 0 else 'debit'} of {plain(work.settings, abs(amount))}"
