"""The journal: entries whose postings sum to zero, written once and never changed.

The database enforces it on both engines (see the ledger's migration): postings are written first, their entry last;
the entry's trigger checks the sum and the number of postings; afterwards nothing can be added, changed or deleted.
A mistake is corrected by the opposite entry.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from coop import bulk
from coop.clock import local_date
from coop.database import Row
from coop.errors import NotFound, Refused
from coop.ledger import balances
from coop.ledger.chart import GUARDED, LedgerAccount, known
from coop.ledger.entries import EntryPosting, JournalEntry, Posting
from coop.money import ZERO, Money
from coop.unit_of_work import UnitOfWork, new_id


class Draft(msgspec.Struct, frozen=True):
    """An entry to be booked with others, as `post` takes it."""

    source: str
    external_id: str
    description: str
    postings: Sequence[Posting]
    policy_version: UUID | None = None
    person: UUID | None = None
    id: UUID = msgspec.field(default_factory=new_id)


FEWEST = 2
"""An entry with fewer postings moves nothing from anywhere to anywhere."""


class AlreadyPosted(Refused):
    """This has been booked already."""

    code = "already_posted"


class NoSuchEntry(NotFound):
    """There is no such journal entry."""

    code = "no_such_entry"


async def post(
    work: UnitOfWork,
    *,
    source: str,
    external_id: str,
    description: str,
    postings: Sequence[Posting],
    policy_version: UUID | None = None,
    person: UUID | None = None,
    date: dt.date | None = None,
) -> JournalEntry:
    """Book `postings` as one entry, once per (`source`, `external_id`); postings of nothing are left out.

    `person` is a reference of `coop.ledger.references`, never an account. The free balances of the pool and of what
    is reserved move along, and refuse to fall below zero.
    """
    drawn, rows = drawn_up(
        source=source,
        external_id=external_id,
        description=description,
        postings=postings,
        date=date or local_date(work.now, work.settings.zone),
        recorded_at=work.now,
        policy_version=policy_version,
        person=person,
    )
    entry = JournalEntry(**drawn)
    try:
        # A savepoint, so that a refusal leaves nothing behind in a unit that goes on.
        async with work.session.begin_nested():
            await work.session.execute(insert(EntryPosting), rows)
            work.session.add(entry)
            await work.session.flush()
            await _move_balances(work, ((row["account"], row["amount"]) for row in rows))
    except IntegrityError as error:
        if await find(work, source, external_id) is not None:
            raise AlreadyPosted from error
        raise
    return entry


def drawn_up(
    *,
    source: str,
    external_id: str,
    description: str,
    postings: Sequence[Posting],
    date: dt.date,
    recorded_at: dt.datetime,
    policy_version: UUID | None = None,
    person: UUID | None = None,
) -> tuple[Row, list[Row]]:
    """Return the rows of an entry and of its postings, which are written first; postings of nothing are left out."""
    moved = _moved(source, external_id, postings)
    entry_id = new_id()
    entry = {
        "id": entry_id,
        "date": date,
        "source": source,
        "external_id": external_id,
        "description": description,
        "size": len(moved),
        "recorded_at": recorded_at,
        "policy_version": policy_version,
        "person": person,
    }
    rows = [
        {"entry_id": entry_id, "position": n, "account": known(posting.account), "amount": posting.amount}
        for n, posting in enumerate(moved)
    ]
    return entry, rows


async def post_all(work: UnitOfWork, drafts: Sequence[Draft]) -> None:
    """Book many entries in as many statements as one, or none of them.

    A database's refusal (one of them has been booked, say) is the caller's to catch: it books them one by one then.
    """
    date = local_date(work.now, work.settings.zone)
    entries, rows, all_moved = [], [], []
    for draft in drafts:
        moved = _moved(draft.source, draft.external_id, draft.postings)
        entry_id = draft.id
        entries.append(
            (
                *(entry_id, date, draft.source, draft.external_id, draft.description, len(moved), work.now),
                *(draft.policy_version, draft.person),
            )
        )
        rows += [(entry_id, n, known(posting.account), posting.amount) for n, posting in enumerate(moved)]
        all_moved += moved
    await bulk.insert(work.session, EntryPosting, ("entry_id", "position", "account", "amount"), rows)
    await bulk.insert(work.session, JournalEntry, _COLUMNS, entries)
    await _move_balances(work, ((posting.account, posting.amount) for posting in all_moved))


async def reverse(work: UnitOfWork, entry_id: UUID, *, description: str) -> JournalEntry:
    """Book the opposite of an entry, at most once."""
    entry = await work.session.get(JournalEntry, entry_id)
    if entry is None:
        raise NoSuchEntry
    return await post(
        work,
        source="reversal",
        external_id=str(entry_id),
        description=description,
        postings=[Posting(p.account, -p.amount) for p in await postings_of(work, entry_id)],
        policy_version=entry.policy_version,
        person=entry.person,
    )


async def find(work: UnitOfWork, source: str, external_id: str) -> JournalEntry | None:
    """Return the entry that books `external_id` of `source`, if it has been booked."""
    found: JournalEntry | None = await work.session.scalar(
        select(JournalEntry).where(JournalEntry.source == source, JournalEntry.external_id == external_id)
    )
    return found


async def postings_of(work: UnitOfWork, entry_id: UUID) -> tuple[Posting, ...]:
    """Return the postings of an entry in their order."""
    rows = await work.session.execute(
        select(EntryPosting.account, EntryPosting.amount)
        .where(EntryPosting.entry_id == entry_id)
        .order_by(EntryPosting.position)
    )
    return tuple(Posting(LedgerAccount(account), amount) for account, amount in rows)


async def of_person(work: UnitOfWork, person: UUID) -> list[JournalEntry]:
    """Return every entry that concerns a person's reference, the latest first: their own books."""
    rows = await work.session.scalars(
        select(JournalEntry)
        .where(JournalEntry.person == person)
        .order_by(JournalEntry.date.desc(), JournalEntry.recorded_at.desc(), JournalEntry.id)
    )
    return list(rows)


_COLUMNS = (
    *("id", "date", "source", "external_id", "description", "size", "recorded_at"),
    *("policy_version", "person"),
)


def _moved(source: str, external_id: str, postings: Sequence[Posting]) -> list[Posting]:
    """Return the postings that move anything, which must be an entry together."""
    moved = [posting for posting in postings if posting.amount]
    if len(moved) < FEWEST or sum(posting.amount.minor for posting in moved) != 0:
        msg = f"an entry wants at least two postings that sum to zero ({source} {external_id})"
        raise ValueError(msg)
    return moved


async def _move_balances(work: UnitOfWork, moved: Iterable[tuple[str, Money]]) -> None:
    changes: Counter[LedgerAccount] = Counter()
    for account, amount in moved:
        if account in GUARDED:
            changes[LedgerAccount(account)] -= amount.minor
    # Always in the same order, so that two units never wait for each other's second row.
    for name in sorted(changes):
        await balances.change(work, name, Money(changes[name]))


def moves(postings: Sequence[Posting], account: LedgerAccount) -> Money:
    """Return the sum of `postings` on `account`; positive is a debit."""
    return sum((p.amount for p in postings if p.account == account), ZERO)
