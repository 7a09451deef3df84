import itertools
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import anyio
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from coop.clock import FixedClock
from coop.membership import standing, terms
from coop.membership.events import MembershipActivated, MembershipEnded
from coop.membership.years import AlreadyRenewed
from coop.outbox import OutboxMessage, read
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.cooperative import found
from tests.membership.people import grant, newcomer


async def announced(units: Units, account_id: UUID) -> list[str]:
    async with units.read() as work:
        rows = await work.session.scalars(select(OutboxMessage).order_by(OutboxMessage.due_at))
        facts = [read(row) for row in rows if row.kind in {"MembershipActivated", "MembershipEnded"}]
    return [
        type(fact).__name__
        for fact in facts
        if isinstance(fact, MembershipActivated | MembershipEnded) and fact.account_id == account_id
    ]


async def test_a_term_is_a_year_to_the_day(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        term = await grant(work, await newcomer(work))

    assert term.begins == datetime(2026, 3, 2, tzinfo=UTC)
    assert term.ends == datetime(2027, 3, 2, tzinfo=UTC)
    assert term.grace_until == datetime(2027, 5, 1, tzinfo=UTC)
    assert term.price.minor == 2500


async def test_a_renewal_before_the_end_begins_at_the_old_end(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        first = await grant(work, account := await newcomer(work))
    await units.advance(timedelta(days=350))
    async with units.open() as work:
        second = await grant(work, account)

    assert (second.begins, second.ends) == (first.ends, datetime(2028, 3, 2, tzinfo=UTC))


async def test_a_renewal_in_grace_begins_at_the_old_end(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        first = await grant(work, account := await newcomer(work))
    await units.advance(timedelta(days=365 + 30))
    async with units.open() as work:
        second = await grant(work, account)

    assert second.begins == first.ends
    assert await announced(units, account) == ["MembershipActivated"]


async def test_after_a_lapse_there_is_a_new_first_day(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        await grant(work, account := await newcomer(work))
    await units.advance(timedelta(days=365 + 61))
    async with units.open() as work:
        second = await grant(work, account)

    assert second.first_day == date(2027, 5, 2)
    assert second.begins == datetime(2027, 5, 2, tzinfo=UTC)


async def test_only_one_year_can_lie_ahead(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        await grant(work, account := await newcomer(work))
        await grant(work, account)
        with pytest.raises(AlreadyRenewed):
            await grant(work, account)


async def test_of_ten_simultaneous_grants_no_two_overlap(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        account = await newcomer(work)

    async def try_to_grant() -> None:
        try:
            async with units.open() as work:
                await grant(work, account)
        except (terms.TermCollision, AlreadyRenewed):
            return

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(try_to_grant)

    async with units.read() as work:
        granted = await terms.history(work, account)
    assert 1 <= len(granted) <= 2
    assert all(earlier.ends <= later.begins for earlier, later in itertools.pairwise(granted))
    assert await announced(units, account) == ["MembershipActivated"]


@pytest.mark.parametrize("ordinal", [2, 3])
async def test_the_database_refuses_overlapping_terms(units: Units, ordinal: int) -> None:
    await found(units)
    async with units.open() as work:
        term = await grant(work, await newcomer(work))
    copy = (
        "INSERT INTO terms (id, account_id, ordinal, first_day, year, begins, ends, grace_until, price, policy_version, "
        "vat_rate) SELECT :id, account_id, :ordinal, first_day, year, begins, ends, grace_until, price, policy_version, "
        "vat_rate FROM terms"
    )
    assert term.ordinal == 1
    new = uuid4()
    async with units.read() as work:
        sqlite = work.session.get_bind().dialect.name == "sqlite"

    with pytest.raises(DBAPIError, match="overlap"):
        async with units.open() as work:
            await work.session.execute(text(copy), {"id": new.hex if sqlite else new, "ordinal": ordinal})


@pytest.mark.parametrize("change", ["ends = grace_until", "price = 1", "ordinal = 7"])
async def test_the_database_refuses_to_change_a_granted_year(units: Units, change: str) -> None:
    await found(units)
    async with units.open() as work:
        await grant(work, await newcomer(work))

    with pytest.raises(DBAPIError, match="not changed"):
        async with units.open() as work:
            await work.session.execute(text(f"UPDATE terms SET {change}"))


async def test_a_withdrawn_term_ends_at_once_and_without_grace(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        term = await grant(work, account := await newcomer(work))
    await units.advance(timedelta(days=10))
    async with units.open() as work:
        await terms.end_early(work, term.id)

    async with units.read() as work:
        assert await terms.current(work, account) is None
        assert (await standing.of(work, account)).state == "none"
    assert await announced(units, account) == ["MembershipActivated", "MembershipEnded"]


async def test_withdrawing_twice_is_refused(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        term = await grant(work, await newcomer(work))
        await terms.end_early(work, term.id)
        with pytest.raises(terms.NoSuchTerm):
            await terms.end_early(work, term.id)


async def test_who_withdraws_and_returns_on_one_day_has_two_terms_that_meet(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        first = await grant(work, account := await newcomer(work))
        await terms.end_early(work, first.id)
    async with units.open() as work:
        second = await grant(work, account)

    assert second.begins == work.now
    assert second.ends == datetime(2027, 3, 2, tzinfo=UTC)
    assert await announced(units, account) == [
        "MembershipActivated",
        "MembershipEnded",
        "MembershipActivated",
    ]


async def test_withdrawing_from_a_renewal_ahead_leaves_the_running_year(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        await grant(work, account := await newcomer(work))
        renewal = await grant(work, account)
        await terms.end_early(work, renewal.id)

    async with units.read() as work:
        known = await standing.of(work, account)
    assert (known.state, known.ends, known.renewed) == ("active", renewal.begins, False)


async def test_a_renewal_given_back_and_taken_again_is_a_whole_year(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        first = await grant(work, account := await newcomer(work))
    await units.advance(timedelta(days=350))
    async with units.open() as work:
        await terms.end_early(work, (await grant(work, account)).id)
    await units.advance(timedelta(days=5))
    async with units.open() as work:
        again = await grant(work, account)

    assert (again.begins, again.ends) == (first.ends, datetime(2028, 3, 2, tzinfo=UTC))


async def test_who_gives_back_the_next_year_and_then_this_one_can_return_at_once(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        first = await grant(work, account := await newcomer(work))
        renewal = await grant(work, account)
        await terms.end_early(work, renewal.id)
        await terms.end_early(work, first.id)
    await units.advance(timedelta(days=3))
    async with units.open() as work:
        again = await grant(work, account)

    assert again.begins == datetime(2026, 3, 5, tzinfo=UTC)
    assert await announced(units, account) == [
        "MembershipActivated",
        "MembershipEnded",
        "MembershipActivated",
    ]


async def test_a_leap_day_keeps_its_anniversary_over_the_years(units: Units, clock: FixedClock) -> None:
    clock.instant = datetime(2028, 2, 29, 9, tzinfo=UTC)
    await found(units)
    async with units.open() as work:
        await grant(work, account := await newcomer(work))
    for _ in range(4):
        clock.advance(timedelta(days=362))
        async with units.open() as work:
            await grant(work, account)

    async with units.read() as work:
        ends = [term.ends.date() for term in await terms.history(work, account)]
    assert ends == [
        date(2029, 2, 28),
        date(2030, 2, 28),
        date(2031, 2, 28),
        date(2032, 2, 29),
        date(2033, 2, 28),
    ]


@pytest.mark.parametrize(
    ("zone", "begins", "ends"),
    [
        # At 12:00 UTC it is already the third of March on Kiritimati.
        ("Pacific/Kiritimati", datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2027, 3, 2, 10, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 2, 5, tzinfo=UTC), datetime(2027, 3, 2, 5, tzinfo=UTC)),
    ],
)
async def test_days_are_those_of_the_cooperative(
    settings: Settings, clock: FixedClock, zone: str, begins: datetime, ends: datetime
) -> None:
    units = Units(Settings(**{**_fields(settings), "time_zone": zone}), clock)
    await found(units)
    async with units.open() as work:
        term = await grant(work, await newcomer(work))
    await units.close()

    assert (term.begins, term.ends) == (begins, ends)


async def test_a_year_that_spans_a_change_of_clocks_still_ends_at_midnight(
    settings: Settings, clock: FixedClock
) -> None:
    clock.instant = datetime(2026, 3, 28, 12, tzinfo=UTC)
    units = Units(Settings(**{**_fields(settings), "time_zone": "Europe/Warsaw"}), clock)
    await found(units)
    async with units.open() as work:
        await grant(work, account := await newcomer(work))
        second = await grant(work, account)
    await units.close()

    # Winter time on 28 March 2027, but summer time already on 28 March 2028 (the last Sunday is the 26th).
    assert second.begins == datetime(2027, 3, 27, 23, tzinfo=UTC)
    assert second.ends == datetime(2028, 3, 27, 22, tzinfo=UTC)


def _fields(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}
