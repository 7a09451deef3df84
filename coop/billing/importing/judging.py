"""Judging: what becomes of each row of an import, found out without changing anything."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy import select

from coop import policies
from coop.billing.importing import held
from coop.billing.importing.files import LONGEST_ID, Row
from coop.billing.importing.held import ImportedMembership
from coop.billing.subscriptions import Subscription
from coop.clock import anniversary, local_date
from coop.identity.accounts import Account
from coop.membership import standing
from coop.money import ZERO, Money, vat_within
from coop.networks.settlement import recognised
from coop.policies import Dues, Version
from coop.unit_of_work import UnitOfWork, new_id

Outcome = Literal[
    "new", "known_address", "changed", "unchanged", "claimed",
    "duplicate", "lapsed", "too_far", "member", "own",
    "bad_row", "bad_id", "no_email", "bad_email", "bad_date", "not_yearly", "odd_price", "other_currency",
    "organisation", "not_recurring", "ended",
]  # fmt: skip

OUTCOMES: dict[Outcome, str] = {
    "new": "waits for whoever confirms the address it was under",
    "known_address": "goes to the account here that has confirmed its address",
    "changed": "was imported before and is paid for longer now: brought up to date",
    "unchanged": "was imported before, exactly so",
    "claimed": "was imported before, and its owner has come; nothing changes any more",
    "duplicate": "repeats an earlier row",
    "lapsed": "was paid for until a day that is past, grace included; they can join anew",
    "too_far": "is paid for more than a year ahead; import the running year, and give the rest as gifts",
    "member": "has a year here already; stop the other tool's renewal and give its rest back there",
    "own": "is a renewal that was begun here",
    "bad_row": "has more or fewer fields than the first line, or a NUL; mend the line",
    "bad_id": "has an id of more than 200 characters; shorten it",
    "no_email": "has no e-mail address, by which its owner could claim it; add one",
    "bad_email": "has an e-mail address that cannot be one; mend it",
    "bad_date": "has no day that can be read; write days as 2026-03-31",
    "not_yearly": "is not paid yearly; make it yearly at Stripe first, or import the paid time from a CSV file",
    "odd_price": "has several prices, or one by use; give it one plain price at Stripe first",
    "other_currency": "is charged in another currency than that of the books; let it end, and invite them to join",
    "organisation": "belongs to an organisation, which joins by itself",
    "not_recurring": "gives nothing regularly now; they can join anew",
    "ended": "has ended, or was never paid",
}
"""What each outcome means and, from `duplicate` on, why the row is left out and what to do."""
TAKEN = frozenset[Outcome]({"new", "known_address", "changed", "unchanged", "claimed"})


@dataclass(slots=True)
class Finding:
    """What became, or would become, of one row."""

    line: int
    external_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Options:
    """How an import is done."""

    source: str
    apply: bool = False
    invite: bool = False


@dataclass(slots=True)
class Known:
    """What the database says of the rows of one batch."""

    dues: Version[Dues]
    held: dict[str, ImportedMembership]
    accounts: dict[str, Account]
    members: set[UUID]
    own: set[str]
    fresh: list[dict[str, object]] = field(default_factory=list)
    longer: list[tuple[ImportedMembership, dict[str, object]]] = field(default_factory=list)
    given: list[tuple[UUID, Account]] = field(default_factory=list)
    invited: list[tuple[UUID, str]] = field(default_factory=list)
    owed: Money = ZERO


async def look_up(work: UnitOfWork, batch: Sequence[Row], source: str) -> Known:
    """Ask once for all that a batch of rows is judged by."""
    ids = [_id(work, row) for row in batch if row.fault is None]
    rows = await work.session.scalars(
        select(ImportedMembership).where(
            ImportedMembership.source == source, ImportedMembership.external_id.in_(ids)
        )
    )
    held_rows = {row.external_id: row for row in rows}
    addresses = {row.email for row in batch if row.email}
    people = await work.session.scalars(
        select(Account).where(
            Account.email.in_(addresses), Account.email_verified_at.is_not(None), Account.erased_at.is_(None)
        )
    )
    accounts = {str(person.email): person for person in people}
    states = await standing.of_many(work, [person.id for person in accounts.values()])
    wanted = [row.subscription for row in batch if row.subscription]
    own = await work.session.scalars(select(Subscription.id).where(Subscription.id.in_(wanted)))
    return Known(
        dues=await policies.in_force(work, Dues),
        held=held_rows,
        accounts=accounts,
        members={account_id for account_id, state in states.items() if state.state != "none"},
        own=set(own),
    )


def _id(work: UnitOfWork, row: Row) -> str:
    """Return the identifier of a row: the other tool's, or a digest of the address where it has none."""
    if row.external_id or row.email is None:
        return row.external_id
    return held.digest_of(work.settings, row.email).hex()


def judge(work: UnitOfWork, row: Row, known: Known, options: Options, seen: set[int]) -> Finding:
    """Say what becomes of a row, and prepare what that takes."""
    if row.fault is not None:
        return Finding(row.line, row.external_id[:LONGEST_ID], row.fault)
    name = _id(work, row)
    outcome = _outcome(work, row, name, known, seen)
    if outcome in {"new", "known_address"}:
        _prepare(work, row, name, known, options)
    elif outcome == "changed":
        before, facts = known.held[name], _left(work, row, known)
        known.longer.append((before, facts))
        known.owed += money(facts["owed"]) - before.owed
    return Finding(row.line, name if row.external_id else "", outcome)


def _outcome(work: UnitOfWork, row: Row, name: str, known: Known, seen: set[int]) -> Outcome:
    if len(name) > LONGEST_ID:
        return "bad_id"
    # A number each rather than the name, so that a hundred thousand rows cost a few megabytes.
    mark = hash(name)
    if mark in seen:
        return "duplicate"
    seen.add(mark)
    before = known.held.get(name)
    if before is None:
        return _fresh(work, row, known)
    return _known_before(row, before, local_date(work.now, work.settings.zone))


def _fresh(work: UnitOfWork, row: Row, known: Known) -> Outcome:
    if row.paid_until is None or row.email is None:
        return "bad_date"
    today = local_date(work.now, work.settings.zone)
    if row.paid_until <= today - dt.timedelta(days=known.dues.document.grace_days):
        return "lapsed"
    if _too_far(row, today):
        return "too_far"
    if row.subscription in known.own:
        return "own"
    account = known.accounts.get(row.email)
    if account is not None and account.id in known.members:
        return "member"
    return "new" if account is None else "known_address"


def _known_before(row: Row, before: ImportedMembership, today: dt.date) -> Outcome:
    if before.state != "waiting":
        return "claimed"
    if row.paid_until is None or row.paid_until <= before.paid_until:
        return "unchanged"
    return "too_far" if _too_far(row, today) else "changed"


def _too_far(row: Row, today: dt.date) -> bool:
    """Tell whether the year that ends with what was paid has not begun yet."""
    if row.paid_until is None:
        return False
    first_day, year = held.years(row.paid_until, row.since)
    return anniversary(first_day, year - 1) > today


def _left(work: UnitOfWork, row: Row, known: Known) -> dict[str, object]:
    """Return what a row says of the year that runs, and what of its dues is left."""
    if row.paid_until is None:
        msg = "a row without a day was not left out"
        raise ValueError(msg)
    first_day, year = held.years(row.paid_until, row.since)
    months = held.passed(first_day, year, work.now, work.settings)
    price = Money(known.dues.document.price)
    # What was paid elsewhere was taxed there; only the rest is left to earn.
    vat_rate = work.settings.vat_rate(anniversary(first_day, year - 1))
    net = price - vat_within(price, vat_rate)
    return {
        "paid_until": row.paid_until,
        "first_day": first_day,
        "year": year,
        "months": months,
        "price": price,
        "owed": net - recognised(net, months),
        "vat_rate": vat_rate,
        "policy_version": known.dues.id,
    }


def _prepare(work: UnitOfWork, row: Row, name: str, known: Known, options: Options) -> None:
    if row.email is None:
        return
    facts = _left(work, row, known)
    values = facts | {
        "id": new_id(),
        "source": options.source,
        "external_id": name,
        "email_digest": held.digest_of(work.settings, row.email),
        "imported_at": work.now,
        "subscription": row.subscription,
        "amount": row.amount,
        "stops": row.stops,
        "state": "waiting",
        "account_id": None,
        "term_id": None,
        "ended_at": None,
    }
    known.fresh.append(values)
    known.owed += money(facts["owed"])
    account = known.accounts.get(row.email)
    if account is not None:
        # Two rows of one address: the first is theirs, the second would run beside it.
        known.members.add(account.id)
        known.given.append((_uuid(values["id"]), account))
    elif options.invite:
        known.invited.append((_uuid(values["id"]), row.email))


def money(value: object) -> Money:
    """Return a prepared amount; columns are typed loosely while they are prepared."""
    if not isinstance(value, Money):
        raise TypeError
    return value


def _uuid(value: object) -> UUID:
    if not isinstance(value, UUID):
        raise TypeError
    return value
