"""The runs over the whole line: by batches, in as many statements as for one, and nobody is held up by another."""

import contextlib
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError

from coop import ledger, policies
from coop.ledger import POOL, RESERVED, Draft, JournalEntry, checks
from coop.membership import obstacles, term_batches, terms
from coop.membership.terms import Member, Term
from coop.money import Money
from coop.outbox import OutboxMessage
from coop.policies import Dues
from coop.sponsorship import places, queue, runs, turns
from coop.sponsorship.place_batches import Candidate
from coop.sponsorship.places import Place
from coop.sponsorship.pool import Reservation
from coop.unit_of_work import Units, new_id
from tests.cooperative import found
from tests.line import wait_in_line
from tests.statements import said_to

PRICE = 2500


async def states(units: Units) -> dict[str, int]:
    async with units.read() as work:
        rows = await work.session.execute(select(Place.state, func.count()).group_by(Place.state))
        return {row[0]: row[1] for row in rows}


async def balance(units: Units, account: ledger.LedgerAccount) -> int:
    async with units.read() as work:
        return (await ledger.balance(work, account)).minor


async def kinds(units: Units) -> dict[str, int]:
    async with units.read() as work:
        rows = await work.session.execute(
            select(OutboxMessage.kind, func.count()).group_by(OutboxMessage.kind)
        )
        return {row[0]: row[1] for row in rows}


async def assert_sound(units: Units) -> None:
    async with units.snapshot() as work:
        report = await checks.run(work)
    assert report.ok, [check for check in report.checks if not check.ok]


async def place_of(units: Units, account_id: UUID) -> Place:
    async with units.read() as work:
        found_place = await places.latest(work, account_id)
    assert found_place is not None
    return found_place


async def test_everybody_in_line_is_renewed_from_the_old_end_and_the_pool_is_spent(units: Units) -> None:
    await found(units)
    await wait_in_line(units, 7, pool=7 * PRICE + 300)

    assert await runs.grant_due(units) == 7

    assert await states(units) == {"begun": 7}
    assert (await balance(units, POOL), await balance(units, RESERVED)) == (300, 0)
    async with units.read() as work:
        for earlier, later in (
            await work.session.execute(
                select(Term.ends, func.max(Term.begins).over(partition_by=Term.account_id))
                .where(Term.ordinal <= 2)
                .order_by(Term.account_id, Term.ordinal)
            )
        ).all()[::2]:
            assert earlier == later
        assert await work.session.scalar(select(func.count()).where(Term.year == 2)) == 7
        covered = await work.session.execute(
            select(Member.covered_until, func.max(Term.grace_until))
            .join(Term, Term.account_id == Member.account_id)
            .group_by(Member.account_id, Member.covered_until)
        )
        assert all(until == grace for until, grace in covered)
    # Networks knew all the time that they are members: nothing has changed for them.
    assert await kinds(units) == {"TermBegan": 7, "Letter": 7}
    await assert_sound(units)


async def test_the_pool_is_never_overspent_and_nobody_overtakes(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 3)
    await found(units)
    people = await wait_in_line(units, 8, pool=5 * PRICE + 100)

    assert await runs.grant_due(units) == 5

    assert [(await place_of(units, person)).state for person in people] == ["begun"] * 5 + ["queued"] * 3
    assert await balance(units, POOL) == 100
    await assert_sound(units)


async def test_a_batch_takes_as_many_statements_as_one_member(units: Units) -> None:
    await found(units)
    counts = []
    for size in (1, 40):
        await wait_in_line(units, size, first=sum(counts))
        with said_to(units) as said:
            assert await runs.grant_due(units) == size
        counts.append(len(said))

    assert counts[0] == counts[1]


async def test_what_a_run_holds_and_says_at_a_time_does_not_grow_with_the_members(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 20)
    await found(units)
    held, said_by = [], []
    # The first run also loads and compiles what every run needs.
    for first, size in ((0, 20), (20, 60), (80, 240)):
        await wait_in_line(units, size, first=first)
        with said_to(units) as said, peak() as most:
            assert await runs.grant_due(units) == size
            held.append(most())
        said_by.append(len(said))

    # Four times as many, and twelve batches instead of three; what the collector has not yet seen makes up for little.
    assert held[2] < 2 * held[1]
    # Nine batches more than three cost three times as much as two more than one.
    assert (said_by[2] - said_by[1]) * 2 == (said_by[1] - said_by[0]) * 9


@contextlib.contextmanager
def peak() -> Iterator[Callable[[], int]]:
    """Tell the most bytes that were held at a time beyond those held at the beginning."""
    gc.collect()
    tracemalloc.start()
    began, _ = tracemalloc.get_traced_memory()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - began
    finally:
        tracemalloc.stop()


async def test_one_place_that_cannot_begin_holds_up_nobody(units: Units) -> None:
    await found(units)
    people = await wait_in_line(units, 5)
    async with units.open() as work:
        await queue.turn(work, at_once=False)
        broken = await places.latest(work, people[2])
        assert broken is not None
        await work.session.execute(delete(Reservation).where(Reservation.key == broken.key))

    assert await runs.begin_due(units) == 4

    assert [(await place_of(units, person)).state for person in people] == [
        "begun",
        "begun",
        "awarded",
        "begun",
        "begun",
    ]
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).where(Term.account_id == people[2])) == 1
    assert await runs.begin_due(units) == 0


async def test_who_has_got_the_year_otherwise_gives_the_place_back_and_the_next_gets_it(
    units: Units,
) -> None:
    await found(units)
    people = await wait_in_line(units, 3, pool=2 * PRICE)
    async with units.open() as work:
        await queue.turn(work, at_once=False)
        await terms.begin(work, people[0], dues=await policies.in_force(work, Dues))

    assert await runs.begin_due(units) == 1
    assert await runs.grant_due(units) == 1

    ends = [await place_of(units, person) for person in people]
    assert [place.state for place in ends] == ["closed", "begun", "begun"]
    assert ends[0].ended_as == "needless"
    assert await balance(units, POOL) == 0
    await assert_sound(units)


async def test_who_has_something_to_settle_waits_and_the_others_are_renewed(units: Units) -> None:
    await found(units)
    people = await wait_in_line(units, 3)
    async with units.open() as work:
        await obstacles.put(work, people[0], "dispute:du_1")

    assert await runs.grant_due(units) == 2

    assert [(await place_of(units, person)).state for person in people] == ["queued", "begun", "begun"]


async def test_two_runs_at_once_renew_everybody_once(units: Units) -> None:
    await found(units)
    await wait_in_line(units, 30)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(runs.grant_due, units)
            tasks.start_soon(runs.begin_due, units)

    assert await states(units) == {"begun": 30}
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Term)) == 60
    await assert_sound(units)


async def test_offers_that_nobody_took_up_go_to_the_next_together(units: Units) -> None:
    await found(units)
    people = await wait_in_line(units, 4, pool=3 * 1500)
    async with units.open() as work:
        await work.session.execute(update(Place).values(contribution=Money(1000)))
    assert await runs.grant_due(units) == 3
    assert await states(units) == {"offered": 3, "queued": 1}
    await units.advance(timedelta(days=7))

    assert await runs.grant_due(units) == 4

    assert [(await place_of(units, person)).state for person in people] == ["closed"] * 3 + ["offered"]
    assert (await balance(units, POOL), await balance(units, RESERVED)) == (2 * 1500, 1500)
    assert await kinds(units) == {"Letter": 4 + 3}
    await assert_sound(units)


async def test_entries_are_booked_together_or_not_at_all(units: Units) -> None:
    await found(units)
    await wait_in_line(units, 1, pool=1000)

    def entry(name: str, cents: int) -> Draft:
        return Draft(
            "test", name, "Kept", [ledger.debit(POOL, Money(cents)), ledger.credit(RESERVED, Money(cents))]
        )

    for refused, drafts in (
        (ledger.NotEnough, [entry("a", 600), entry("b", 500)]),
        (IntegrityError, [entry("a", 600), entry("a", 100)]),
    ):
        with pytest.raises(refused):
            async with units.open() as work:
                await ledger.post_all(work, drafts)
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).where(JournalEntry.external_id == "a")) == 0
    assert await balance(units, POOL) == 1000

    async with units.open() as work:
        await ledger.post_all(work, [entry("a", 600), entry("b", 400)])
    assert (await balance(units, POOL), await balance(units, RESERVED)) == (0, 1000)
    await assert_sound(units)


async def test_a_year_given_back_before_it_began_counts_but_is_not_built_upon(units: Units) -> None:
    await found(units)
    (person,) = await wait_in_line(units, 1)
    async with units.open() as work:
        dues = await policies.in_force(work, Dues)
        ahead = await terms.begin(work, person, dues=dues)
        await terms.end_early(work, ahead.id)

        past = (await term_batches.pasts(work, [person]))[person]
        (granted,) = await term_batches.begin(work, [term_batches.Grant(person, past, dues)])

        assert (past.terms, past.last and past.last.year) == (2, 1)
        assert (granted.year.year, granted.year.begins) == (2, ahead.begins)


def candidate(number: int, contribution: int, *, first: bool) -> Candidate:
    return Candidate(number, new_id(), Money(contribution), first, False, None, None, None, "en")  # noqa: FBT003 - no credit


@given(
    some.lists(some.tuples(some.integers(0, 3000), some.booleans()), max_size=30),
    some.integers(0, 40_000),
    some.integers(0, 10),
)
def test_a_turn_spends_no_more_than_there_is_and_skips_nobody_for_money(
    line: list[tuple[int, bool]], free: int, firsts: int
) -> None:
    waiting = [candidate(n, part, first=first) for n, (part, first) in enumerate(line)]

    turn = turns.take(waiting, price=Money(PRICE), free=Money(free), firsts=firsts)

    left, newcomers = free, firsts
    for place in waiting:
        gap = PRICE - place.contribution.minor
        if place.first and newcomers <= 0:
            assert place not in turn.given + turn.needless
        elif gap <= 0:
            assert place in turn.needless
        elif gap > left:
            # Nobody behind the first whom the pool cannot cover gets anything.
            assert all(other.id < place.id for other in turn.given)
            return
        else:
            assert place in turn.given
            left -= gap
            newcomers -= place.first
    assert left >= 0
