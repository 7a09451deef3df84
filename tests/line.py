"""A long line of members whose year nears its end and who wait for the pool, made in no time."""

from datetime import timedelta
from uuid import UUID

from coop import bulk, ledger, policies
from coop.clock import local_date, midnight
from coop.identity import handles
from coop.identity.accounts import Account
from coop.ledger import DEFERRED_DUES, POOL, STRIPE
from coop.ledger.references import PersonReference
from coop.membership.renewal import RenewalNotice
from coop.membership.terms import Member, Term
from coop.membership.years import year_of
from coop.money import Money
from coop.policies import Dues
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units, new_id

AT_ONCE = 1000
DAYS = 28
"""Over how many days their years end."""
_LETTERS = str.maketrans("0123456789", "bcdfghkptx")
"""Letters that look like no others: the database keeps handles that look alike apart."""


async def wait_in_line(units: Units, count: int, *, pool: int | None = None, first: int = 0) -> list[UUID]:
    """Let so many members have a year that ends within four weeks, and ask for the next, in this order; fill the pool.

    `first` is the number of the first of them, where others stand already.
    """
    people: list[UUID] = []
    numbers = range(first, first + count)
    for begun in range(0, count, AT_ONCE):
        async with units.open() as work:
            people += await _members(work, numbers[begun : begun + AT_ONCE])
    async with units.open() as work:
        dues = await policies.in_force(work, Dues)
        given = Money(dues.document.price * count if pool is None else pool)
        await ledger.post(
            work,
            source="test",
            external_id=f"gift:{new_id()}",
            description="A gift to the solidarity pool",
            postings=[ledger.debit(STRIPE, given), ledger.credit(POOL, given)],
        )
    return people


async def _members(work: UnitOfWork, numbers: range) -> list[UUID]:
    zone = work.settings.zone
    dues = await policies.in_force(work, Dues)
    accounts, terms, members, references, places, notices = [], [], [], [], [], []
    for n in numbers:
        account_id = new_id()
        handle = "waiting_" + str(n).translate(_LETTERS)
        first_day = local_date(work.now, zone) - timedelta(days=364 - n % DAYS)
        year = year_of(first_day, 1, midnight(first_day, zone), zone, dues.document.grace_days)
        accounts.append(
            (account_id, handle, handles.skeleton(handle), work.now, f"{handle}@example.org", work.now, "en")
        )
        term_id = new_id()
        notices.append((term_id, min(dues.document.notice_days)))
        terms.append(
            (
                *(term_id, account_id, 1, first_day, 1, year.begins, year.ends, year.grace_until),
                *(Money(dues.document.price), dues.id, 0),
            )
        )
        members.append((account_id, first_day, True, year.grace_until))
        references.append((new_id(), account_id))
        places.append(
            (account_id, work.now - timedelta(days=1, microseconds=-n), Money(0), False, "queued", False)
        )
    session = work.session
    await bulk.insert(
        session,
        Account,
        ("id", "handle", "skeleton", "created_at", "email", "email_verified_at", "locale"),
        accounts,
    )
    await bulk.insert(
        session,
        Term,
        (
            *("id", "account_id", "ordinal", "first_day", "year", "begins", "ends", "grace_until"),
            *("price", "policy_version", "vat_rate"),
        ),
        terms,
    )
    await bulk.insert(session, Member, ("account_id", "first_day", "active", "covered_until"), members)
    # They were told already, which is why they ask.
    await bulk.insert(session, RenewalNotice, ("term_id", "days"), notices)
    await bulk.insert(session, PersonReference, ("reference", "account_id"), references)
    await bulk.insert(
        session, Place, ("account_id", "asked_at", "contribution", "first", "state", "credited"), places
    )
    price = Money(dues.document.price)
    await ledger.post_all(
        work,
        [
            ledger.Draft(
                source="payment",
                external_id=f"paid:{account_id}",
                description="Dues for a year",
                postings=[ledger.debit(STRIPE, price), ledger.credit(DEFERRED_DUES, price)],
                policy_version=dues.id,
                person=reference,
            )
            for reference, account_id in references
        ],
    )
    return [row[0] for row in accounts]
