"""What `coop books check` finds in books that somebody damaged behind the constraints: which rule, where, what, and what to do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from coop.billing import checks
from coop.clock import FixedClock
from coop.ledger.checks import Finding, Report
from coop.unit_of_work import UnitOfWork, Units
from tests.conftest import START
from tests.soak.ground import on_postgresql, on_sqlite
from tests.soak.machine import DISPUTED, WORKS
from tests.soak.world import settings_for, world

LATER = timedelta(days=70)


async def live(url: str) -> None:
    """Let a bit of everything happen, so that there is something to damage."""
    async with world(url, START) as life:
        for who, cents, purpose, card in (
            (0, 10_000, "sponsor", WORKS),
            (0, 4000, "dues", WORKS),
            (1, 2500, "dues", DISPUTED),
            (2, 2500, "gift", WORKS),
            (2, 2500, "gift", WORKS),
        ):
            await life.pay(who=who, cents=cents, purpose=purpose)
            await life.enter_card(page=-1, card=card)
            await life.pass_time(by=timedelta(hours=2))
        await life.hear()
        await life.claim(who=3, which=0)
        await life.pass_time(by=LATER)
        await life.refund_at_stripe(which=0, cents=300)
        # A part of the pool is kept while somebody thinks about it.
        await life.pay(who=4, cents=1000)
        await life.hear()
        for _ in range(2):
            # The second time seals what the first one booked.
            await life.all_jobs()


@pytest.fixture(scope="session")
def lived_sqlite(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    ground = asyncio.run(on_sqlite(sqlite_template, tmp_path_factory.mktemp("damaged"), START))
    url, _ = ground()
    asyncio.run(live(url))
    return url


@pytest.fixture(scope="session")
def lived_postgresql(postgresql_template: str) -> str:
    ground = asyncio.run(on_postgresql(postgresql_template, START))
    url, _ = ground()
    asyncio.run(live(url))
    return url


@pytest.fixture
def lived(engine_name: str, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"lived_{engine_name}"))


@pytest.fixture
async def books(lived: str) -> AsyncIterator[Units]:
    """Open the books of a life that all tests of an engine share; each takes its damage back."""
    units = Units(settings_for(lived), FixedClock(START + LATER + timedelta(days=1)))
    yield units
    await units.close()


class _TakenBack(Exception):
    pass


async def damaged(units: Units, *statements: str) -> Report:
    """Check books in which somebody with the whole database in their hands did this; nothing of it stays."""
    found: list[Report] = []
    with contextlib.suppress(_TakenBack):
        async with units.open() as work:
            await unguard(work)
            for statement in statements:
                changed = await work.session.execute(text(statement))
                assert changed.rowcount, statement  # type: ignore[attr-defined]  # a textual UPDATE has a row count
            found.append(await checks.run(work))
            raise _TakenBack
    return found[0]


async def unguard(work: UnitOfWork) -> None:
    """Take triggers and foreign keys away for this transaction."""
    if work.session.get_bind().dialect.name == "postgresql":
        await work.session.execute(text("SET LOCAL session_replication_role = replica"))
        return
    await work.session.execute(text("PRAGMA defer_foreign_keys = ON"))
    rows = await work.session.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
    for (name,) in rows.all():
        await work.session.execute(text(f'DROP TRIGGER "{name}"'))


def findings(report: Report, rule: str) -> list[Finding]:
    return next(list(check.findings) for check in report.checks if check.name == rule)


def entry(source: str, debit: str, credit: str, cents: int, person: str = "NULL") -> tuple[str, ...]:
    """Return the statements that write an entry by hand; its id is a new one."""
    one = uuid4().hex
    written = (
        "INSERT INTO journal_entries "
        "(id, date, source, external_id, description, size, recorded_at, person) "
        f"SELECT '{one}', date, '{source}', '{one}', 'Nothing to see here', 2, '2026-06-01 12:00:00+00', {person} "
        "FROM journal_entries WHERE source = 'manual'"
    )
    return (
        written,
        f"INSERT INTO postings (entry_id, position, account, amount) VALUES ('{one}', 0, '{debit}', {cents})",
        f"INSERT INTO postings (entry_id, position, account, amount) VALUES ('{one}', 1, '{credit}', {-cents})",
    )


async def test_books_that_nobody_touched_hold(books: Units) -> None:
    async with books.snapshot() as work:
        report = await checks.run(work)

    assert [check for check in report.checks if not check.ok] == []
    assert report.sums["Liabilities:Reserved"] == 1500
    assert report.sums["Liabilities:GiftsOutstanding"] == 2500
    assert report.chain.lag == 0


@dataclass(frozen=True)
class Damage:
    """What somebody does, and what must be said of it."""

    name: str
    does: tuple[str, ...]
    rule: str
    where: str
    expected: str
    found: str
    also: tuple[str, ...] = field(default=())


_SPONSORS = "SELECT id FROM journal_entries WHERE description = 'A gift to the solidarity pool'"
_SURPLUS = "account = 'Liabilities:Pool' AND amount = -1500"

DAMAGES = (
    Damage(
        "a posting is changed",
        (f"UPDATE postings SET amount = -9999 WHERE amount = -10000 AND entry_id IN ({_SPONSORS})",),
        "entries_balance",
        "'A gift to the solidarity pool'",
        "2 postings that sum to 0.00",
        "2 postings that sum to 0.01: Assets:StripePending 100.00; Liabilities:Pool -99.99",
        ("trial_balance", "balance_rows", "chain"),
    ),
    Damage(
        "a posting is removed",
        (f"DELETE FROM postings WHERE {_SURPLUS}",),
        "entries_balance",
        "'Dues for a year'",
        "3 postings that sum to 0.00",
        "2 postings that sum to 15.00",
        ("balance_rows", "chain"),
    ),
    Damage(
        "a posting is added",
        (
            f"INSERT INTO postings (entry_id, position, account, amount) SELECT id, 7, 'Assets:Cash', 500 FROM ({_SPONSORS}) AS one",
        ),
        "entries_balance",
        "'A gift to the solidarity pool'",
        "2 postings that sum to 0.00",
        "3 postings that sum to 5.00",
        ("chain",),
    ),
    Damage(
        "an entry is removed",
        (f"DELETE FROM journal_entries WHERE id IN ({_SPONSORS})",),
        "postings_belong",
        "posting 0 of entry",
        "an entry to which it belongs",
        "the posting says Assets:StripePending 100.00",
        ("chain", "rows_booked"),
    ),
    Damage(
        "a payment loses its entry",
        (
            f"DELETE FROM postings WHERE entry_id IN ({_SPONSORS})",
            f"DELETE FROM journal_entries WHERE id IN ({_SPONSORS})",
        ),
        "rows_booked",
        "payment pi_",
        "with a debit of 100.00 on Assets:StripePending",
        "no such entry",
        ("purses_agree", "balance_rows", "chain"),
    ),
    Damage(
        "money moves to another ledger account, and the sums stay",
        (f"UPDATE postings SET account = 'Equity:Reserve' WHERE {_SURPLUS}",),
        "balance_rows",
        "the balance row of Liabilities:Pool",
        "the sum of its postings",
        "97.00",
        ("chain",),
    ),
    Damage(
        "a ledger account is made up",
        ("UPDATE postings SET account = 'Assets:Mattress' WHERE account = 'Assets:Bank'",),
        "known_accounts",
        "posting 0 of entry",
        "a ledger account of the chart",
        "'Assets:Mattress', 100000.00",
        ("chain",),
    ),
    Damage(
        "a sealed entry is reworded",
        ("UPDATE journal_entries SET description = 'Nothing to see here' WHERE source = 'manual'",),
        "chain",
        "'Nothing to see here'), sealed as link 1",
        "its seal ",
        "was changed, added or removed",
    ),
    Damage(
        "a seal is overwritten",
        (f"UPDATE seals SET hash = '{'0' * 64}' WHERE seq = 2",),
        "chain",
        "seal 2 of entry",
        "",
        "0" * 64,
    ),
    Damage(
        "seals are removed",
        ("DELETE FROM seals WHERE seq IN (2, 3)",),
        "chain",
        "seal 2 to 3",
        "without a gap",
        "they are gone",
    ),
    Damage(
        "the pool is overspent",
        entry("manual", "Liabilities:Pool", "Assets:Bank", 50_000),
        "nothing_overdrawn",
        "Liabilities:Pool",
        "at least 0.00",
        "below zero since entry",
        ("balance_rows",),
    ),
    Damage(
        "the pool's row is raised",
        ("UPDATE ledger_balances SET amount = amount + 2500 WHERE account = 'Liabilities:Pool'",),
        "balance_rows",
        "the balance row of Liabilities:Pool",
        "97.00",
        "122.00",
    ),
    Damage(
        "all the money is carried away",
        entry("manual", "Assets:InstalmentsDue", "Assets:Bank", 10_020_000),
        "cover",
        "Stripe, pending, bank and cash",
        "what is owed to pool, gifts, members",
        "too little",
        ("purses_agree",),
    ),
    Damage(
        "dues move without a law",
        (
            "UPDATE journal_entries SET policy_version = NULL WHERE description = 'Dues for a year' AND source = 'gift'",
        ),
        "policy_named",
        "(gift claim:",
        "the policy version",
        "none",
        ("chain",),
    ),
    Damage(
        "a month is taken for settled that was not",
        ("UPDATE recognitions SET months = months + 1",),
        "months_recognised",
        "term ",
        "month 3: 2.09",
        "month 3: nothing",
        ("dues_deferred",),
    ),
    Damage(
        "deferred dues are moved by hand",
        entry("manual", "Liabilities:DeferredDues", "Equity:Reserve", 700),
        "dues_deferred",
        "Liabilities:DeferredDues",
        "that 3 terms have not earned yet",
        "moved by hand in entry",
        ("policy_named",),
    ),
    Damage(
        "a payment is removed",
        ("DELETE FROM payments WHERE purpose = 'sponsor'",),
        "entries_founded",
        "'A gift to the solidarity pool'",
        "a payment behind it",
        "none",
    ),
    Damage(
        "a payment is raised",
        ("UPDATE payments SET amount = 20000 WHERE purpose = 'sponsor'",),
        "rows_booked",
        "payment pi_",
        "with a debit of 200.00 on Assets:StripePending",
        "with a debit of 100.00 there",
    ),
    Damage(
        "a settlement is forgotten",
        ("UPDATE payments SET settlement = NULL, fee = NULL WHERE purpose = 'sponsor'",),
        "purses_agree",
        "Assets:StripePending",
        "100.00, the sum of the payments that the processor has not booked yet",
        "0.00",
    ),
    Damage(
        "a refund is forgotten beside its payment",
        ("UPDATE payments SET refunded = 0 WHERE refunded > 0",),
        "payments_agree",
        "payment pi_",
        "given back 3.00",
        "given back 0.00",
    ),
    Damage(
        "a refund is raised",
        ("UPDATE refunds SET amount = 400",),
        "rows_booked",
        "refund ",
        "with a debit of 4.00 on Liabilities:MemberCredit",
        "with a debit of 3.00 there",
        ("payments_agree",),
    ),
    Damage(
        "a dispute is made smaller",
        ("UPDATE disputes SET amount = 100",),
        "rows_booked",
        "dispute d",
        "with a debit of 1.00 on Assets:Disputed",
        "with a debit of 25.00 there",
        ("payments_agree",),
    ),
    Damage(
        "a dispute is closed without a word in the books",
        ("UPDATE disputes SET state = 'won', closed_at = opened_at", "UPDATE payments SET disputed = 0"),
        "rows_booked",
        "closed dispute d",
        "with a credit of 25.00 on Assets:Disputed",
        "no such entry",
    ),
    Damage(
        "what the pool keeps is raised",
        ("UPDATE pool_reservations SET amount = 2500 WHERE state = 'held'",),
        "purses_agree",
        "Liabilities:Reserved",
        "25.00, the sum of what the pool keeps",
        "15.00",
        ("rows_booked",),
    ),
    Damage(
        "a place vanishes whose part is kept",
        ("DELETE FROM places WHERE state = 'offered'",),
        "purses_agree",
        "part of the pool kept as place:",
        "an open place",
        "15.00 is kept for nobody",
    ),
    Damage(
        "a gift vanishes",
        ("DELETE FROM gifts WHERE state = 'waiting'",),
        "purses_agree",
        "Liabilities:GiftsOutstanding",
        "0.00, the sum of the gifts that nobody has begun",
        "25.00",
    ),
    Damage(
        "somebody was given back what they never brought",
        entry(
            "manual",
            "Liabilities:MemberCredit",
            "Assets:Bank",
            900,
            "(SELECT person FROM journal_entries WHERE person IS NOT NULL LIMIT 1)",
        ),
        "nobody_owes_credit",
        "Liabilities:MemberCredit of person ",
        "at least 0.00",
        "-9.00",
    ),
    Damage(
        "a term has nothing that paid for it",
        ("UPDATE gifts SET term_id = NULL",),
        "terms_funded",
        "term ",
        "a payment, place, gift or import that brought its 25.00",
        "nothing",
    ),
    Damage(
        "a term costs more than was paid for it",
        ("UPDATE terms SET price = 3000 WHERE id IN (SELECT term_id FROM payments WHERE amount = 4000)",),
        "terms_funded",
        "term ",
        "with a credit of 30.00 on Liabilities:DeferredDues",
        "with a credit of 25.00 there",
        ("dues_deferred", "months_recognised"),
    ),
    Damage(
        "a year is cut short and its dues stay",
        ("UPDATE terms SET ended_early_at = begins WHERE id IN (SELECT term_id FROM gifts)",),
        "terms_funded",
        ", ended early",
        "an entry (withdrawal ",
        "no such entry",
        ("dues_deferred",),
    ),
    Damage(
        "a receipt is removed",
        ("DELETE FROM receipts WHERE kind = 'receipt' AND number = 2",),
        "receipts_numbered",
        "receipts of 2026",
        "the numbers 1 to 5, each once",
        "1 missing: 2",
    ),
    Damage(
        "the last receipt is removed, and its number would be given again",
        (
            "DELETE FROM receipts WHERE kind = 'receipt' AND number = 5",
            "UPDATE receipt_series SET last = 3 WHERE kind = 'receipt'",
        ),
        "receipts_numbered",
        "receipts of 2026",
        "and 3 as the last one given",
        "none missing; the highest is 4",
    ),
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
async def test_the_damage_is_named(books: Units, damage: Damage) -> None:
    report = await damaged(books, *damage.does)

    assert not report.ok
    told = findings(report, damage.rule)
    assert any(
        damage.where in one.where and damage.expected in one.expected and damage.found in one.found
        for one in told
    ), told
    assert all(one.remedy for one in told)
    broken = {check.name for check in report.checks if not check.ok}
    assert broken >= {damage.rule, *damage.also}


async def test_an_overwritten_seal_is_told_from_a_changed_entry(books: Units) -> None:
    report = await damaged(books, f"UPDATE seals SET hash = '{'0' * 64}' WHERE seq = 2")

    assert [one.where.partition(" of ")[0] for one in findings(report, "chain")] == ["seal 2"]


async def test_a_break_in_the_chain_does_not_hide_the_next_one(books: Units) -> None:
    report = await damaged(
        books,
        "UPDATE journal_entries SET description = 'No' WHERE id IN (SELECT entry FROM seals WHERE seq IN (2, 9))",
    )

    assert [one.where.rpartition(" ")[2] for one in findings(report, "chain")] == ["2", "9"]


async def test_a_thousand_breaches_are_counted_and_twenty_told(books: Units) -> None:
    report = await damaged(books, "UPDATE journal_entries SET size = 9")

    rule = next(check for check in report.checks if check.name == "entries_balance")
    assert len(rule.findings) == 20
    assert rule.detail == f"{report.entries} found"
