"""VAT payable held against the years: each line stands in the journal, and each year has the VAT that its price contains."""

from typing import Any

from sqlalchemy import BigInteger, Select, case, exists, func, or_, select, type_coerce

from coop.billing import vat_payments
from coop.billing.checks.booked import minor
from coop.billing.importing.held import ImportedMembership
from coop.billing.instalment_plans import InstalmentPlan
from coop.billing.vat_payments import VatPayment
from coop.ledger import VAT_PAYABLE, EntryPosting, JournalEntry
from coop.ledger.chart import VAT
from coop.ledger.checks.report import MOST_FINDINGS, Check, Finding, check, named, plain
from coop.membership.terms import Term
from coop.membership.vat import VatLine
from coop.money import WHOLE
from coop.unit_of_work import UnitOfWork

BOOKED_BY = (VAT, "refund", "withdrawal", "dispute", "instalments")
"""The sources whose entries move VAT with the dues of years; apart from them, it is paid to the tax office."""

_LINE = type_coerce(VatLine.vat, BigInteger)
_POSTED = type_coerce(EntryPosting.amount, BigInteger)


async def vat_lines(work: UnitOfWork) -> Check:
    """Every entry that moves VAT with dues moves what its lines say."""
    lines = (
        select(VatLine.entry_id, func.sum(_LINE).label("vat")).group_by(VatLine.entry_id).subquery("lines")
    )
    posted = (
        select(EntryPosting.entry_id, (-func.sum(_POSTED)).label("vat"))
        .where(EntryPosting.account == VAT_PAYABLE)
        .group_by(EntryPosting.entry_id)
        .subquery("posted")
    )
    said, moved = func.coalesce(lines.c.vat, 0), func.coalesce(posted.c.vat, 0)
    apart = (
        select(JournalEntry, said, moved)
        .outerjoin(lines, lines.c.entry_id == JournalEntry.id)
        .outerjoin(posted, posted.c.entry_id == JournalEntry.id)
        .where(JournalEntry.source.in_(BOOKED_BY), said != moved)
        .order_by(JournalEntry.recorded_at, JournalEntry.id)
    )
    findings = [
        Finding(
            where=named(entry),
            expected=f"{plain(work.settings, int(lined))} of VAT, as its lines say",
            found=plain(work.settings, int(booked)),
            remedy="Restore the lines of VAT (vat_lines) or the entry from a backup, whichever was changed",
        )
        for entry, lined, booked in await work.session.execute(apart.limit(MOST_FINDINGS))
    ]
    standing = await work.session.scalar(select(func.coalesce(func.sum(_LINE), 0)))
    return check(
        "vat_lines",
        findings,
        more=await _count(work, apart) - len(findings),
        holds=f"the VAT of all years is {plain(work.settings, int(standing or 0))}, as its entries say",
    )


async def vat_of_years(work: UnitOfWork) -> Check:
    """The VAT of each year is what its price contains; by instalments it comes with them; no more went back than arose.

    Of a year that was taken over it arose elsewhere.
    """
    whole = WHOLE + Term.vat_rate
    contained = (2 * minor(Term.price) * Term.vat_rate + whole) // (2 * whole)
    lines = (
        select(
            VatLine.term_id,
            func.sum(case((JournalEntry.source == VAT, _LINE), else_=0)).label("arose"),
            func.sum(_LINE).label("stands"),
        )
        .join(JournalEntry, JournalEntry.id == VatLine.entry_id)
        .where(VatLine.term_id.is_not(None))
        .group_by(VatLine.term_id)
        .subquery("lines")
    )
    arose, stands = func.coalesce(lines.c.arose, 0), func.coalesce(lines.c.stands, 0)
    # The pool's part and the instalments are rounded each for itself.
    charged = contained * InstalmentPlan.paid // InstalmentPlan.count - 1
    apart = (
        select(Term, contained, arose, stands)
        .outerjoin(lines, lines.c.term_id == Term.id)
        .outerjoin(InstalmentPlan, InstalmentPlan.term_id == Term.id)
        .where(
            ~exists().where(ImportedMembership.term_id == Term.id),
            or_(
                case(
                    (
                        or_(InstalmentPlan.id.is_(None), InstalmentPlan.paid == InstalmentPlan.count),
                        arose != contained,
                    ),
                    else_=or_(arose > contained, arose < charged),
                ),
                stands < 0,
                stands > arose,
            ),
        )
        .order_by(Term.id)
    )
    findings = [
        Finding(
            where=f"term {term.id} of account {term.account_id}",
            expected=f"{plain(work.settings, int(wanted))} of VAT at {term.vat_rate} basis points, and no more of it back",
            found=f"{plain(work.settings, int(came))} arose, {plain(work.settings, int(left))} stands",
            remedy="vat_lines names the entry if one was changed; VAT that was never booked, or twice, is booked by hand (two treasurers)",
        )
        for term, wanted, came, left in await work.session.execute(apart.limit(MOST_FINDINGS))
    ]
    return check(
        "vat_of_years",
        findings,
        more=await _count(work, apart) - len(findings),
        holds="each year has the VAT that its price contains",
    )


async def vat_owed(work: UnitOfWork) -> Check:
    """VAT payable is the VAT of all years, less what was paid to the tax office; nothing else has moved it."""
    arose = await _sum(work, select(func.sum(_LINE)))
    paid = await _sum(work, select(func.sum(minor(VatPayment.amount))).where(VatPayment.undone_at.is_(None)))
    payable = -await _sum(work, select(func.sum(_POSTED)).where(EntryPosting.account == VAT_PAYABLE))
    findings = []
    if payable != arose - paid:
        strange = await work.session.scalars(
            select(JournalEntry)
            .where(
                JournalEntry.source.not_in((*BOOKED_BY, vat_payments.SOURCE)),
                exists().where(EntryPosting.entry_id == JournalEntry.id, EntryPosting.account == VAT_PAYABLE),
            )
            .order_by(JournalEntry.recorded_at, JournalEntry.id)
            .limit(5)
        )
        by_hand = "; ".join(named(entry) for entry in strange)
        findings.append(
            Finding(
                where=str(VAT_PAYABLE),
                expected=f"{plain(work.settings, arose - paid)}: {plain(work.settings, arose)} of all years, less "
                f"{plain(work.settings, paid)} that was paid to the tax office",
                found=plain(work.settings, payable) + (f", moved as well in {by_hand}" if by_hand else ""),
                remedy="rows_booked and vat_lines name the payment or entry if one was changed or lost; an entry made by hand is to "
                "be reversed (two treasurers)",
            )
        )
    return check(
        "vat_owed",
        findings,
        holds=f"{plain(work.settings, payable)} is owed to the tax office, {plain(work.settings, paid)} was paid to it",
    )


async def _sum(work: UnitOfWork, rows: Select[*tuple[Any, ...]]) -> int:
    return int(await work.session.scalar(rows) or 0)


async def _count(work: UnitOfWork, rows: Select[*tuple[Any, ...]]) -> int:
    return await work.session.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0
