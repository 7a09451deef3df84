"""The rehearsal of an import: what would become of each row, found out without changing anything."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar
from uuid import UUID

from sqlalchemy import or_, select

from coop.identity.accounts import Account
from coop.networks import aliases
from coop.networks.aliases import Alias
from coop.networks.moving.files import Row
from coop.networks.moving.imported import LONGEST_ID, ImportedAccount, digest_of, tolerable
from coop.unit_of_work import UnitOfWork

Outcome = Literal[
    "new", "changed", "unchanged", "claimed",
    "bad_row", "bad_handle", "duplicate", "look_alike", "taken", "conflict",
]  # fmt: skip

OUTCOMES: dict[Outcome, str] = {
    "new": "will be imported",
    "changed": "was imported before and will be brought up to date",
    "unchanged": "was imported before, exactly so",
    "claimed": "has been claimed by its owner; nothing changes any more",
    "bad_row": "has more or fewer fields than the first line, or an id of more than 64 characters",
    "bad_handle": "has a handle that cannot be a name: empty, over 64 characters, or with characters such as / or controls",
    "duplicate": "repeats a handle or an id of an earlier row; capitals make no difference",
    "look_alike": "has a handle in letters of another script that reads like another account's",
    "taken": "has a handle that a member chose on this network already; rename the account there, for instance as shown",
    "conflict": "has the id of one imported account and the handle of another",
}
"""What each outcome means for the row; those from bad_row on keep it out, and the rest of the file is imported."""
KEPT_OUT = frozenset(itertools.dropwhile(lambda outcome: outcome != "bad_row", OUTCOMES))

Note = Literal[
    "irregular_handle", "resembles", "members_handle", "no_email", "bad_email", "shared_email", "renamed"
]

NOTES: dict[Note, str] = {
    "irregular_handle": "has a handle that new names may not have; it is kept exactly",
    "resembles": "has a handle that looks like another account's; both are kept",
    "members_handle": "has a handle that a member bears at the cooperative; the account stays its owner's all the same",
    "no_email": "has no e-mail address: it can be claimed by a link only",
    "bad_email": "has an e-mail address that cannot be one: it can be claimed by a link only",
    "shared_email": "has an e-mail address that other rows have too: its reader may claim one of them",
    "renamed": "has another handle than at the last import",
}
"""What is worth a look about a row, whatever its outcome."""

_CHUNK = 1000
_VARIANTS = 3
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What would become of one row."""

    row: Row
    outcome: Outcome
    notes: tuple[Note, ...] = ()
    variants: tuple[str, ...] = ()
    """Free names that the account could be given on the network, where its own is taken."""
    former: str | None = None
    """The folded handle under which the account was imported before, if it changed."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would become of a whole file."""

    findings: list[Finding]

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many rows have each outcome."""
        return Counter(finding.outcome for finding in self.findings)

    @property
    def notes(self) -> Counter[Note]:
        """How many rows have each note."""
        return Counter(note for finding in self.findings for note in finding.notes)


@dataclass(slots=True)
class _Known:
    """What the database says of the names in a file, and what the rows read so far add."""

    imported: dict[str, ImportedAccount] = field(default_factory=dict)
    """By folded handle."""
    exact: dict[str, str] = field(default_factory=dict)
    """The alias as it is written, by folded handle."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """Folded handles on the network, by what they look like."""
    by_id: dict[str, str] = field(default_factory=dict)
    """Folded handles by the network's own identifier."""
    members: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    seen_ids: set[str] = field(default_factory=set)


async def rehearse(work: UnitOfWork, network_id: UUID, rows: list[Row]) -> Rehearsal:
    """Find out what importing `rows` into the network would do."""
    known = await _look_up(work, network_id, rows)
    shared = Counter(row.email for row in rows if row.email)
    findings = []
    for row in rows:
        outcome, former = _outcome(work, network_id, row, known)
        notes = () if outcome in {"bad_row", "bad_handle"} else tuple(_notes(row, known, shared, former))
        findings.append(Finding(row=row, outcome=outcome, notes=notes, former=former))
        if outcome not in KEPT_OUT:
            folded = aliases.folded(row.handle)
            known.seen.add(folded)
            known.names.setdefault(aliases.skeleton(row.handle), set()).add(folded)
            if row.external_id:
                known.seen_ids.add(row.external_id)
    return Rehearsal(await _with_variants(work, network_id, findings, known.seen))


def _outcome(work: UnitOfWork, network_id: UUID, row: Row, known: _Known) -> tuple[Outcome, str | None]:
    """Return what would become of `row`, and the folded handle it had before, if it was imported before."""
    by_itself = _fault(row, known)
    if by_itself is not None:
        return by_itself, None
    folded = aliases.folded(row.handle)
    by_id = known.by_id.get(row.external_id) if row.external_id else None
    if folded in known.imported and by_id not in {None, folded}:
        return "conflict", None
    former = by_id or (folded if folded in known.imported else None)
    others = known.names.get(aliases.skeleton(row.handle), set()) - {folded, former}
    outcome: Outcome
    if former is not None and known.imported[former].claimed_at is not None:
        outcome = "claimed"
    elif folded in known.exact and folded not in known.imported:
        outcome = "taken"
    elif any(not (folded.isascii() and other.isascii()) for other in others):
        outcome = "look_alike"
    elif former is None:
        outcome = "new"
    else:
        outcome = "unchanged" if _same(work, network_id, row, known, former) else "changed"
    return outcome, former


def _fault(row: Row, known: _Known) -> Outcome | None:
    """Return what keeps `row` out whatever the network has."""
    if row.misshapen or len(row.external_id or "") > LONGEST_ID or not _printable(row.external_id):
        return "bad_row"
    if not tolerable(row.handle):
        return "bad_handle"
    if aliases.folded(row.handle) in known.seen or row.external_id in known.seen_ids:
        return "duplicate"
    return None


def _same(work: UnitOfWork, network_id: UUID, row: Row, known: _Known, former: str) -> bool:
    before = known.imported[former]
    email = digest_of(work.settings, network_id, row.email) if row.email else None
    return (
        known.exact[former] == row.handle
        and (row.external_id is None or row.external_id == before.external_id)
        and (not row.says_email or email == before.email_digest)
        and before.forgotten_at is None
    )


def _notes(row: Row, known: _Known, shared: Counter[str], former: str | None) -> Iterator[Note]:
    folded = aliases.folded(row.handle)
    if not aliases.GRAMMAR.fullmatch(row.handle):
        yield "irregular_handle"
    if known.names.get(aliases.skeleton(row.handle), set()) - {folded, former}:
        yield "resembles"
    if folded in known.members:
        yield "members_handle"
    if row.bad_email:
        yield "bad_email"
    elif row.email is None:
        yield "no_email"
    elif shared[row.email] > 1:
        yield "shared_email"
    if former not in {None, folded}:
        yield "renamed"


async def _look_up(work: UnitOfWork, network_id: UUID, rows: list[Row]) -> _Known:
    known = _Known()
    usable = [row for row in rows if tolerable(row.handle)]
    wanted = {(aliases.folded(row.handle), aliases.skeleton(row.handle)) for row in usable}
    pairs = (
        select(Alias, ImportedAccount)
        .outerjoin(
            ImportedAccount,
            (ImportedAccount.network_id == Alias.network_id) & (ImportedAccount.folded == Alias.folded),
        )
        .where(Alias.network_id == network_id)
    )
    looks = [
        pairs.where(or_(Alias.folded.in_([f for f, _ in part]), Alias.skeleton.in_([s for _, s in part])))
        for part in _chunks(wanted)
    ] + [
        pairs.where(ImportedAccount.external_id.in_(part))
        for part in _chunks({row.external_id for row in usable if _printable(row.external_id)} - {None})
    ]
    for look in looks:
        for alias, imported in await work.session.execute(look):
            known.exact[alias.folded] = alias.alias
            known.names.setdefault(alias.skeleton, set()).add(alias.folded)
            if imported is not None:
                known.imported[alias.folded] = imported
                if imported.external_id:
                    known.by_id[imported.external_id] = alias.folded
    for part in _chunks({folded for folded, _ in wanted}):
        known.members.update(
            await work.session.scalars(select(Account.handle).where(Account.handle.in_(part)))
        )
    return known


async def _with_variants(
    work: UnitOfWork, network_id: UUID, findings: list[Finding], seen: Collection[str]
) -> list[Finding]:
    """Return the findings with free names beside those whose own cannot be had."""
    stuck = [finding for finding in findings if finding.outcome in {"taken", "look_alike"}]
    candidates = {finding.row.line: list(_candidates(finding.row.handle)) for finding in stuck}
    taken = {aliases.skeleton(name) for name in seen}
    for part in _chunks({aliases.skeleton(name) for names in candidates.values() for name in names}):
        taken.update(
            await work.session.scalars(
                select(Alias.skeleton).where(Alias.network_id == network_id, Alias.skeleton.in_(part))
            )
        )
    offered = {
        line: tuple(itertools.islice((n for n in names if aliases.skeleton(n) not in taken), _VARIANTS))
        for line, names in candidates.items()
    }
    return [
        Finding(
            row=finding.row,
            outcome=finding.outcome,
            notes=finding.notes,
            variants=offered.get(finding.row.line, ()),
            former=finding.former,
        )
        for finding in findings
    ]


def _candidates(handle: str) -> Iterator[str]:
    """Yield names that any software accepts and that still say whose account it is."""
    plain = re.sub(r"[^a-z0-9_]+", "_", aliases.skeleton(handle)).strip("_")
    plain = (plain if plain[:1].isalpha() else f"user_{plain}")[:24].rstrip("_")
    yield from (f"{plain}_{ending}" for ending in ("old", 2, 3, 4, 5, 6, 7, 8, 9))


def _printable(text: str | None) -> bool:
    return text is None or text.isprintable()


def _chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    remaining = iter(items)
    while chunk := list(itertools.islice(remaining, _CHUNK)):
        yield chunk
