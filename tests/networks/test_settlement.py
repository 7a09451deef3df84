import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import func, select

from coop import policies
from coop.clock import FixedClock
from coop.ledger import balances, chart, journal
from coop.ledger.entries import JournalEntry, credit, debit
from coop.membership import terms
from coop.money import ZERO, Money
from coop.networks import links, settlement
from coop.policies.founding import documents
from coop.unit_of_work import UnitOfWork, Units
from tests.networks import people
from tests.statements import said_to

(SHARES,) = (document for document in documents() if isinstance(document, policies.Shares))


async def a_year(units: Units, handle: str = "robin", *network_ids: UUID) -> UUID:
    """Give an account a year, paid by bank, and link it to networks."""
    account_id = await people.account(units, handle)
    async with units.open() as work:
        dues = await policies.in_force(work, policies.Dues)
        price = Money(dues.document.price)
        term = await terms.begin(work, account_id, dues=dues)
        await journal.post(
            work,
            source="test",
            external_id=str(term.id),
            description="Dues",
            postings=[debit(chart.BANK, price), credit(chart.DEFERRED_DUES, price)],
        )
        for network_id in network_ids:
            await links.link(work, network_id, account_id)
    return account_id


async def owed(units: Units, *names: chart.LedgerAccount) -> list[Money]:
    async with units.read() as work:
        return [await balances.balance(work, name) for name in names]


async def entries(units: Units) -> int:
    async with units.read() as work:
        return (
            await work.session.scalar(
                select(func.count()).select_from(JournalEntry).where(JournalEntry.source == settlement.SOURCE)
            )
            or 0
        )


LAGOON, HARBOR = chart.network_payable("lagoon"), chart.network_payable("harbor")


async def test_a_whole_year_is_divided_to_the_cent(units: Units) -> None:
    await a_year(units, "robin", await people.network(units))
    await units.advance(timedelta(days=366))

    assert await settlement.recognise_due(units) == 12

    deferred, *parts = await owed(units, chart.DEFERRED_DUES, LAGOON, chart.OPERATIONS, chart.RESERVE)
    assert deferred == ZERO
    assert sum(part.minor for part in parts) == 2500
    # Each month is rounded by its largest remainders, so that a year may differ by a few cents.
    assert all(
        abs(part - share) <= Money(6)
        for part, share in zip(parts, (Money(1500), Money(750), Money(250)), strict=True)
    )


async def test_before_a_month_has_passed_nothing_is_recognised(units: Units) -> None:
    await a_year(units, "robin", await people.network(units))
    await units.advance(timedelta(days=30))
    before = await settlement.recognise_due(units)
    await units.advance(timedelta(days=1))

    assert (before, await settlement.recognise_due(units)) == (0, 1)
    assert await owed(units, chart.DEFERRED_DUES) == [Money(2500 - 2500 // 12)]


async def test_two_networks_share_equally_and_none_is_the_common_fund(units: Units) -> None:
    lagoon, harbor = await people.network(units, "Lagoon"), await people.network(units, "Harbor")
    await a_year(units, "robin", lagoon, harbor)
    await a_year(units, "wren")
    await units.advance(timedelta(days=366))

    await settlement.recognise_due(units)

    first, second, common = await owed(units, LAGOON, HARBOR, chart.COMMON_FUND)
    assert first + second == common
    assert abs(first - second) <= Money(12)
    assert abs(common - Money(1500)) <= Money(6)


async def test_a_network_earns_for_the_months_in_which_it_was_used(units: Units) -> None:
    lagoon = await people.network(units)
    robin = await a_year(units, "robin", lagoon)
    await units.advance(timedelta(days=100))
    async with units.open() as work:
        await links.unlink(work, lagoon, robin)
    await units.advance(timedelta(days=266))

    await settlement.recognise_due(units)

    # Used in months one to four; exact parts vary by a cent a month.
    used, unused = await owed(units, LAGOON, chart.COMMON_FUND)
    assert abs(used + unused - Money(1500)) <= Money(6)
    assert abs(used - Money(500)) <= Money(4)


async def test_running_it_again_and_twice_at_once_books_nothing_twice(units: Units) -> None:
    await a_year(units, "robin", await people.network(units))
    await units.advance(timedelta(days=200))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(settlement.recognise_due, units)
    again = await settlement.recognise_due(units)

    assert (again, await entries(units)) == (0, 6)


class _Died(BaseException):
    pass


class DyingUnits(Units):
    """Units of a process that is killed before its third commit."""

    opened = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[UnitOfWork]:
        """Run one writing transaction, or die in it."""
        self.opened += 1
        async with super().open() as work:
            yield work
            if self.opened == 3:
                raise _Died


async def test_a_settlement_that_died_half_way_is_finished_by_the_next(
    units: Units, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "BATCH", 4)
    network = await people.network(units)
    for number in range(6):
        await a_year(units, f"robin{number}", network)
    await units.advance(timedelta(days=200))
    dying = DyingUnits(units.settings, clock)

    with pytest.raises(_Died):
        await settlement.recognise_due(dying)
    await dying.close()
    half = await entries(units)
    rest = await settlement.recognise_due(units)

    assert (half, rest) == (4, 6 * 6 - 4)
    assert await settlement.recognise_due(units) == 0


async def test_a_month_of_many_terms_takes_as_many_statements_as_of_one(units: Units) -> None:
    network = await people.network(units)
    counts = []
    for names in (["robin"], ["wren", "lark", "swift", "finch", "crane"]):
        for name in names:
            await a_year(units, name, network)
        await units.advance(timedelta(days=32))
        with said_to(units) as said:
            await settlement.recognise_due(units)
        counts.append(len(said))

    assert await entries(units) == 1 + 6
    assert counts[0] == counts[1]


async def test_a_year_given_back_recognises_nothing(units: Units) -> None:
    robin = await a_year(units, "robin", await people.network(units))
    await units.advance(timedelta(days=10))
    async with units.open() as work:
        term = await terms.current(work, robin)
        assert term is not None
        await terms.end_early(work, term.id)
    await units.advance(timedelta(days=400))

    assert await settlement.recognise_due(units) == 0


async def test_each_month_names_the_shares_in_force_at_its_end(units: Units) -> None:
    await a_year(units, "robin", await people.network(units))
    async with units.open() as work:
        old = await policies.latest(work, policies.Shares)
        new = await policies.adopt(
            work,
            policies.Shares(**{**_fields(old.document), "networks": 5000, "operations": 4000}),
            act=f"motion:{old.id}",
            effective_at=work.now + timedelta(days=45),
            replaces=old.hash,
        )
    await units.advance(timedelta(days=70))
    await settlement.recognise_due(units)

    async with units.read() as work:
        named = await work.session.scalars(
            select(JournalEntry.policy_version)
            .where(JournalEntry.source == settlement.SOURCE)
            .order_by(JournalEntry.description)
        )
    assert list(named) == [old.id, new.id]


def _fields(document: policies.Shares) -> dict[str, object]:
    return {field: getattr(document, field) for field in document.__struct_fields__}


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_months_of_a_term_that_began_on_the_31st_end_with_short_months(
    units: Units, clock: FixedClock
) -> None:
    clock.instant = datetime(2027, 1, 31, 12, tzinfo=UTC)
    await people.network(units)
    robin = await a_year(units)

    async with units.read() as work:
        term = await terms.current(work, robin)
        assert term is not None
        ends = [settlement.month_end(term, month, work).date().isoformat() for month in (1, 2, 3, 12)]

    assert ends == ["2027-02-28", "2027-03-31", "2027-04-30", "2028-01-31"]


@given(price=some.integers(100, 100_000))
def test_twelve_months_make_the_price(price: int) -> None:
    months = [settlement.recognised(Money(price), month) for month in range(13)]

    assert months[0] == ZERO
    assert months[12] == Money(price)
    assert months == sorted(months)


@given(
    amount=some.integers(1, 10_000),
    slugs=some.lists(some.sampled_from(["alder", "birch", "cedar", "dune", "elm"]), unique=True),
    salt=some.text(max_size=5),
)
def test_any_division_is_exact_and_independent_of_order(amount: int, slugs: list[str], salt: str) -> None:
    forwards = settlement.divide(Money(amount), SHARES, slugs, salt=salt)
    backwards = settlement.divide(Money(amount), SHARES, slugs[::-1], salt=salt)

    assert sum(posting.amount.minor for posting in forwards) == 0
    assert forwards == backwards
