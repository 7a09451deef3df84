"""What the books hold about a person: entries under a random reference, and who that reference stands for."""

from sqlalchemy import false, select

from coop.ledger.entries import EntryPosting, JournalEntry
from coop.ledger.references import PersonReference
from coop.personal import Held, Registered

_BOOKS = "the books are append-only; without the reference an entry concerns nobody"

HELD: Registered = (
    Held(
        table=PersonReference,
        of=lambda person: PersonReference.account_id == person.account_id,
        people=("account_id",),
    ),
    Held(
        table=JournalEntry,
        of=lambda person: JournalEntry.person == person.reference if person.reference else false(),
        stays=_BOOKS,
    ),
    Held(
        table=EntryPosting,
        of=lambda person: (
            EntryPosting.entry_id.in_(select(JournalEntry.id).where(JournalEntry.person == person.reference))
            if person.reference
            else false()
        ),
        stays=_BOOKS,
    ),
)
