from datetime import timedelta

import pytest
from sqlalchemy import func, select

from coop.clock import FixedClock, PastClock
from coop.mail import Letter
from coop.outbox import OutboxMessage
from coop.settings import Settings
from coop.unit_of_work import Units


async def count(units: Units) -> int:
    async with units.read() as work:
        return await work.session.scalar(select(func.count()).select_from(OutboxMessage)) or 0


async def test_leaving_a_unit_commits_it(units: Units) -> None:
    async with units.open() as work:
        work.send(Letter(to="a@example.org", subject="s", body="b"))

    assert await count(units) == 1


async def test_an_exception_rolls_a_unit_back(units: Units) -> None:
    async def fail_after_writing() -> None:
        async with units.open() as work:
            work.send(Letter(to="a@example.org", subject="s", body="b"))
            await work.session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        await fail_after_writing()

    assert await count(units) == 0


async def test_business_time_moves_and_wall_time_does_not(units: Units, clock: FixedClock) -> None:
    await units.advance(timedelta(days=365))

    async with units.read() as work:
        assert work.wall == clock.instant
        assert work.now == clock.instant + timedelta(days=365)


async def test_a_line_bears_the_business_time_of_a_past_that_is_lived_through(
    units: Units, settings: Settings, clock: FixedClock
) -> None:
    past = Units(settings, PastClock(clock.instant - timedelta(days=90)))
    async with past.line() as line, past.read() as work:
        assert line.now == work.now == clock.instant - timedelta(days=90)
    await past.close()
