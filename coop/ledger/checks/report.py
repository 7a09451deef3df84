"""The report on the books: every rule, whether it holds, and for each breach where it is, what was expected, what was found, what to do."""

import msgspec

from coop.ledger.entries import JournalEntry
from coop.settings import Settings

MOST_FINDINGS = 20
"""How many breaches of one rule are spelled out; the rest is counted, since one cause often breaks a thousand rows."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One breach of a rule, in words that a treasurer can act on; amounts are written as the books write them."""

    where: str
    """The entry, ledger account, term, payment or other row."""
    expected: str
    found: str
    remedy: str
    """What to do about it."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str
    findings: tuple[Finding, ...] = ()
    """The breaches, at most so many."""


class Cover(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the money at hand covers what belongs to others, in minor units.

    Operations bears all fees, so while it has earned less than it spent, the difference is an advance that it owes.
    """

    money: int
    """Stripe, pending, bank and cash."""
    owed: int
    """Pool, reserved, gifts, credit, networks, VAT, and dues that may still be withdrawn."""
    refundable: int
    """The last of these alone."""
    advanced: int
    """What operations has spent beyond what it has earned."""


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The hash chain over the journal."""

    length: int
    lag: int
    """How many entries wait to be sealed."""
    head: str | None
    """The hash that fixes everything sealed so far."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the books; all amounts in minor units of `currency`."""

    ok: bool
    currency: str
    entries: int
    postings: int
    debits: int
    credits: int
    sums: dict[str, int]
    """The balance of each ledger account, positive on the side on which it grows."""
    cover: Cover
    chain: Chain
    checks: tuple[Check, ...]


def check(name: str, findings: list[Finding], *, holds: str, more: int = 0) -> Check:
    """Return a rule with its breaches; `more` counts those that were not even looked at."""
    count = len(findings) + more
    return Check(
        name=name,
        ok=not count,
        detail=f"{count} found" if count else holds,
        findings=tuple(findings[:MOST_FINDINGS]),
    )


def plain(settings: Settings, minor: int) -> str:
    """Write a sum, which may exceed what one amount of money may be."""
    places = settings.money.places
    whole, part = divmod(abs(minor), 10**places)
    return f"{'-' if minor < 0 else ''}{whole}" + (f".{part:0{places}d}" if places else "")


def named(entry: JournalEntry) -> str:
    """Name an entry so that it is found again: its id, and what it books."""
    return f"entry {entry.id} ({entry.source} {entry.external_id}, {entry.date}, {entry.description!r})"
