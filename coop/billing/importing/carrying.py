"""Carrying an import out: a batch of rows a unit, each row once; or only finding out what would become of them.

What is still owed of each year is booked against the reserve, as an opening balance is: what a cooperative owes when its
books begin lessens its own funds, and the money that was handed over for it adds to them once it is here
(docs/decisions/0012).
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from coop import ledger
from coop.billing.importing import held, letters
from coop.billing.importing.files import Row
from coop.billing.importing.held import ImportedMembership
from coop.billing.importing.judging import TAKEN, Finding, Known, Options, Outcome, judge, look_up, money
from coop.database import changed
from coop.errors import Refused
from coop.ledger import DEFERRED_DUES, RESERVE, Posting, chart
from coop.money import ZERO, Money
from coop.stewardship import audit
from coop.unit_of_work import UnitOfWork, Units, new_id

BATCH = 500
"""Rows in one unit of work: some tens of milliseconds, so that on SQLite nobody waits long for the one writer."""
SHOWN = 50
"""Rows of each outcome that a report names; all are counted."""

Progress = Callable[[int], object]


class ImportUnderWay(Refused):
    """Somebody else imports the same at this moment. Run the import again; what is there already stays as it is."""

    code = "import_under_way"


@dataclass(slots=True)
class Report:
    """What became of all rows; its size does not grow with theirs."""

    applied: bool
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    shown: list[Finding] = field(default_factory=list)
    owed: Money = ZERO
    """What is booked, or would be, for the months that are left."""
    renewals: int = 0
    """Renewals at Stripe that go on."""
    invited: int = 0

    def add(self, finding: Finding) -> None:
        """Count a row, and name it if it is left out and not many are."""
        self.outcomes[finding.outcome] += 1
        if finding.outcome not in TAKEN and self.outcomes[finding.outcome] <= SHOWN:
            self.shown.append(finding)


async def carry(
    units: Units,
    rows: AsyncIterator[Row],
    options: Options,
    *,
    progress: Progress | None = None,
    note: Callable[[Finding], object] | None = None,
) -> Report:
    """Take rows over a batch at a time; `note` hears of each. A second run, or one after a crash, changes nothing twice."""
    report = Report(applied=options.apply)
    seen: set[int] = set()
    batch: list[Row] = []

    async def done() -> None:
        for finding in await _batch(units, batch, options, seen, report):
            report.add(finding)
            if note is not None:
                note(finding)
        if progress is not None:
            progress(len(batch))
        batch.clear()

    async for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            await done()
    if batch:
        await done()
    if options.apply and any(report.outcomes[outcome] for outcome in ("new", "known_address", "changed")):
        async with units.open() as work:
            taken = sum(report.outcomes[outcome] for outcome in ("new", "known_address", "changed"))
            await audit.record(
                work,
                act="members.imported",
                reason=f"{taken} memberships taken over from {options.source}",
                actor=None,
                subject=options.source,
            )
    return report


async def _batch(
    units: Units, batch: Sequence[Row], options: Options, seen: set[int], report: Report
) -> list[Finding]:
    async with units.open() if options.apply else units.read() as work:
        known = await look_up(work, batch, options.source)
        findings = [judge(work, row, known, options, seen) for row in batch]
        if options.apply:
            await _write(work, known, options)
    report.owed += known.owed
    report.renewals += sum(value["subscription"] is not None and not value["stops"] for value in known.fresh)
    report.invited += len(known.invited)
    return findings


async def _write(work: UnitOfWork, known: Known, options: Options) -> None:
    for before, facts in known.longer:
        if not await changed(
            work.session,
            update(ImportedMembership)
            .where(ImportedMembership.id == before.id, ImportedMembership.state == "waiting")
            .values(**facts),
        ):
            # Its owner came in this very moment; what they were given stays.
            known.owed -= money(facts["owed"]) - before.owed
    if known.fresh:
        try:
            async with work.session.begin_nested():
                await work.session.execute(insert(ImportedMembership), known.fresh)
        except IntegrityError as error:
            raise ImportUnderWay from error
    if known.owed:
        await ledger.post(
            work,
            source=chart.OPENING,
            external_id=f"{options.source}:{new_id()}",
            description=f"Opening balance: dues of months to come, paid before ({options.source})",
            postings=[Posting(RESERVE, known.owed), Posting(DEFERRED_DUES, -known.owed)],
            policy_version=known.dues.id,
        )
    for row_id, account in known.given:
        await held.give(work, await work.session.get_one(ImportedMembership, row_id), account)
    for row_id, address in known.invited:
        work.send(letters.invitation(work.settings, address), dedupe_key=f"invited:{row_id}")
