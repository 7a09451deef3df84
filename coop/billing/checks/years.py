"""Terms held against the journal: funded in full and once, recognised month by month, and deferred as far as they are not."""

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, String, exists, func, literal, select, type_coerce

from coop.billing import instalment_endings, instalment_plans
from coop.billing.checks.booked import minor, spelled, year_rules
from coop.billing.checks.entries import breaches
from coop.billing.household_dues import HouseholdYear
from coop.billing.importing.held import ImportedMembership
from coop.billing.instalment_plans import InstalmentPlan
from coop.billing.payments import Payment
from coop.ledger import DEFERRED_DUES, EntryPosting, JournalEntry, chart
from coop.ledger.checks.report import MOST_FINDINGS, Check, Finding, check, named, plain
from coop.membership.terms import Term
from coop.money import ZERO, Money
from coop.networks import settlement
from coop.networks.settlement import Recognition, recognised
from coop.sponsorship.gifts import Gift
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork

_MINOR = type_coerce(EntryPosting.amount, BigInteger)
_PAGE = 500
_OURS = (
    "payment",
    "instalments",
    "gift",
    "place",
    "withdrawal",
    settlement.SOURCE,
    chart.OPENING,
    chart.VAT,
    "stripe",
)
"""The sources of entries that move deferred dues by this program."""


@dataclass(frozen=True, slots=True)
class _Year:
    """A term, how many months of it the settlement has taken, and how many had passed elsewhere before."""

    term: Term
    months: int
    before: int
    plan: InstalmentPlan | None

    @property
    def earned(self) -> Money:
        """What of its dues the months have earned, here or elsewhere."""
        return recognised(self.term.net, self.months)

    def kept(self, work: UnitOfWork) -> Money:
        """Return what of its dues was not given back, nor is due as VAT."""
        term, plan = self.term, self.plan
        if term.ended_early_at is not None:
            return recognised(term.net, instalment_endings.months_by(work, term, term.ended_early_at))
        running = plan is not None and plan.state == "running"
        return term.net + (instalment_plans.vat_to_come(term, plan) if running and plan is not None else ZERO)


async def terms_funded(work: UnitOfWork) -> Check:
    """Each term is paid for in full by an entry; one that ended early has the entry that gave its dues back."""
    findings, total = await breaches(work, year_rules(work))
    unfunded = select(Term).where(
        *(
            ~exists().where(column == Term.id)
            for column in (
                Payment.term_id,
                HouseholdYear.term_id,
                InstalmentPlan.term_id,
                Place.term_id,
                Gift.term_id,
                ImportedMembership.term_id,
            )
        )
    )
    for term in await work.session.scalars(unfunded):
        total += 1
        findings.append(
            Finding(
                where=f"term {term.id} of account {term.account_id}",
                expected=f"a payment, place, gift or import that brought its {plain(work.settings, term.price.minor)}",
                found="nothing",
                remedy="Restore what paid for it from a backup; a term that nobody paid for must not run, so lock the account until "
                "it is explained",
            )
        )
    plans = spelled(work, InstalmentPlan.id)
    ended = select(Term).where(
        Term.ended_early_at.is_not(None),
        ~exists().where(
            JournalEntry.source == "withdrawal", JournalEntry.external_id == spelled(work, Term.id)
        ),
        ~exists().where(
            InstalmentPlan.term_id == Term.id,
            JournalEntry.source == "instalments",
            JournalEntry.external_id == literal("stop:", String).concat(plans),
        ),
    )
    for term in await work.session.scalars(ended):
        total += 1
        findings.append(
            Finding(
                where=f"term {term.id} of account {term.account_id}, ended early",
                expected=f"an entry (withdrawal {term.id}), or one that stops its instalments",
                found="no such entry",
                remedy="Restore the entry from a backup, or let the term run on if nobody gave it back",
            )
        )
    return check(
        "terms_funded",
        findings[:MOST_FINDINGS],
        more=total - len(findings[:MOST_FINDINGS]),
        holds="every year is paid for in full, and its end is booked",
    )


async def months_recognised(work: UnitOfWork) -> Check:
    """The months of each term that the settlement took are booked, each once and to the cent."""
    booked = await _booked_months(work)
    findings: list[Finding] = []
    total = 0
    async for year in _years(work):
        found = booked.pop(str(year.term.id), {})
        wanted = {
            month: recognised(year.term.net, month).minor - recognised(year.term.net, month - 1).minor
            for month in range(year.before + 1, year.months + 1)
        }
        if {month: moved for month, moved in found.items() if moved} == {
            m: w for m, w in wanted.items() if w
        }:
            continue
        total += 1
        if len(findings) < MOST_FINDINGS:
            findings.append(_months(work, str(year.term.id), wanted, found))
    for term_id, found in booked.items():
        total += 1
        findings.append(_months(work, term_id, {}, found))
    return check(
        "months_recognised",
        findings,
        more=total - len(findings),
        holds="every month that has been settled is booked once",
    )


async def dues_deferred(work: UnitOfWork) -> Check:
    """Deferred dues are what the terms have not earned yet, and what imported years still owe."""
    terms = running = 0
    async for year in _years(work):
        left = year.kept(work).minor - year.earned.minor
        terms += left
        running += left != 0
    waiting = int(
        await work.session.scalar(
            select(func.coalesce(func.sum(minor(ImportedMembership.owed)), 0)).where(
                ImportedMembership.state == "waiting"
            )
        )
        or 0
    )
    deferred = -int(
        await work.session.scalar(
            select(func.coalesce(func.sum(_MINOR), 0)).where(EntryPosting.account == DEFERRED_DUES)
        )
        or 0
    )
    findings = []
    if deferred != terms + waiting:
        by_hand = await work.session.scalars(
            select(JournalEntry)
            .where(
                JournalEntry.source.not_in(_OURS),
                exists().where(
                    EntryPosting.entry_id == JournalEntry.id, EntryPosting.account == DEFERRED_DUES
                ),
            )
            .order_by(JournalEntry.recorded_at)
            .limit(5)
        )
        strange = "; ".join(named(entry) for entry in by_hand)
        findings.append(
            Finding(
                where=str(DEFERRED_DUES),
                expected=f"{plain(work.settings, terms + waiting)}: {plain(work.settings, terms)} that {running} terms have not "
                f"earned yet, {plain(work.settings, waiting)} of imported years that wait",
                found=plain(work.settings, deferred) + (f", moved by hand in {strange}" if strange else ""),
                remedy="terms_funded and months_recognised name the term if one of them is the cause; an entry made by hand is to "
                "be reversed (two treasurers)",
            )
        )
    return check(
        "dues_deferred", findings, holds=f"{plain(work.settings, deferred)} is deferred for {running} terms"
    )


async def _years(work: UnitOfWork) -> AsyncIterator[_Year]:
    last: UUID | None = None
    while True:
        page = (
            select(Term, Recognition.months, ImportedMembership.months, InstalmentPlan)
            .outerjoin(Recognition, Recognition.term_id == Term.id)
            .outerjoin(ImportedMembership, ImportedMembership.term_id == Term.id)
            .outerjoin(InstalmentPlan, InstalmentPlan.term_id == Term.id)
            .order_by(Term.id)
            .limit(_PAGE)
        )
        rows = (await work.session.execute(page if last is None else page.where(Term.id > last))).all()
        for term, months, before, plan in rows:
            last = term.id
            yield _Year(term, months or 0, before or 0, plan)
            # The years of a large cooperative must not fill the memory.
            work.session.expunge(term)
            if plan is not None:
                work.session.expunge(plan)
        if len(rows) < _PAGE:
            return


async def _booked_months(work: UnitOfWork) -> dict[str, dict[int, int]]:
    """Return what entries moved out of deferred dues for each term and month."""
    rows = await work.session.execute(
        select(JournalEntry.external_id, func.sum(_MINOR))
        .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .where(JournalEntry.source == settlement.SOURCE, EntryPosting.account == DEFERRED_DUES)
        .group_by(JournalEntry.external_id)
    )
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for external_id, moved in rows:
        term_id, _, month = external_id.rpartition(":")
        found[term_id][int(month)] = int(moved)
    return found


def _months(work: UnitOfWork, term_id: str, wanted: dict[int, int], found: dict[int, int]) -> Finding:
    def said(months: dict[int, int]) -> str:
        differing = [m for m in sorted({*wanted, *found}) if wanted.get(m, 0) != found.get(m, 0)]
        return ", ".join(
            f"month {m}: {plain(work.settings, months[m]) if m in months else 'nothing'}" for m in differing
        )

    return Finding(
        where=f"term {term_id}",
        expected=said(wanted),
        found=said(found),
        remedy="Restore the entry (recognition, the term and the month) or the term's row in `recognitions`, whichever was changed",
    )
