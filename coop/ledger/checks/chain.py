"""Whether every sealed entry still says what it said when it was sealed; if not, which one, and whether it or its seal was changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from coop.ledger import sealer
from coop.ledger.checks.report import Check, Finding, check, named
from coop.ledger.entries import JournalEntry
from coop.ledger.sealer import Seal
from coop.unit_of_work import UnitOfWork

_PAGE = 500
_RESTORE = (
    "Compare it with the last backup and with your export of that month, find out who could write to the database, and "
    "restore it; the published head of the chain tells which copy is genuine"
)


@dataclass
class _Doubt:
    """A link that does not fit; the next one tells whether the entry was changed, or only its seal."""

    seq: int
    entry: JournalEntry
    stored: str
    computed: str


async def chain_holds(work: UnitOfWork) -> Check:
    """Follow the chain from its beginning; a break is told where it is, and the rest is still looked at."""
    walk = _Walk()
    while True:
        found = await work.session.execute(
            select(Seal, JournalEntry)
            .outerjoin(JournalEntry, JournalEntry.id == Seal.entry)
            .where(Seal.seq > walk.seq)
            .order_by(Seal.seq)
            .limit(_PAGE)
        )
        rows: list[tuple[Seal, JournalEntry | None]] = [(seal, entry) for seal, entry in found]
        lines = await sealer.postings_by_entry(work, [entry.id for _, entry in rows if entry is not None])
        for seal, entry in rows:
            walk.step(seal, entry, [] if entry is None else lines.get(entry.id, []))
            # A long journal must not fill the memory.
            work.session.expunge(seal)
            if entry is not None:
                work.session.expunge(entry)
        if len(rows) < _PAGE:
            walk.end()
            return check("chain", walk.findings, holds=f"{walk.seq} links hold")


class _Walk:
    def __init__(self) -> None:
        self.seq = 0
        # Nothing after a link that is missing can be said to fit or not.
        self.previous: str | None = sealer.GENESIS
        self.doubt: _Doubt | None = None
        self.findings: list[Finding] = []

    def step(self, seal: Seal, entry: JournalEntry | None, lines: Sequence[tuple[str, int]]) -> None:
        if seal.seq != self.seq + 1:
            self.end()
            self.previous = None
            last = seal.seq - 1
            self._find(
                f"seal {self.seq + 1}" + (f" to {last}" if last > self.seq + 1 else ""),
                "the links of the chain without a gap",
                "they are gone",
            )
        if entry is None:
            self.end()
            self._find(
                f"seal {seal.seq}", f"the entry {seal.entry} that it seals", "there is no such entry any more"
            )
        else:
            self._compare(seal, entry, lines)
        self.seq, self.previous = seal.seq, seal.hash

    def _compare(self, seal: Seal, entry: JournalEntry, lines: Sequence[tuple[str, int]]) -> None:
        if self.previous is None:
            return
        computed = sealer.link(self.previous, entry, lines)
        doubt, self.doubt = self.doubt, None
        if doubt is not None and computed != seal.hash:
            after = sealer.link(doubt.computed, entry, lines)
            if after == seal.hash:
                # The next link was made upon what the entry says today, so it is the seal that somebody wrote over.
                self._find(f"seal {doubt.seq} of {named(doubt.entry)}", doubt.computed, doubt.stored)
                return
        if doubt is not None:
            self._changed(doubt)
        if computed != seal.hash:
            self.doubt = _Doubt(seal.seq, entry, seal.hash, computed)

    def end(self) -> None:
        """Report a doubt that no further link can settle."""
        if self.doubt is not None:
            self._changed(self.doubt)
            self.doubt = None

    def _changed(self, doubt: _Doubt) -> None:
        self._find(
            f"{named(doubt.entry)}, sealed as link {doubt.seq}",
            f"its seal {doubt.stored}",
            f"what it says now gives {doubt.computed}: it, or a posting of it, was changed, added or removed",
        )

    def _find(self, where: str, expected: str, found: str) -> None:
        self.findings.append(Finding(where=where, expected=expected, found=found, remedy=_RESTORE))
