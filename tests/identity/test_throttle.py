from datetime import timedelta

import anyio
import pytest
from sqlalchemy import select

from coop.clock import FixedClock
from coop.identity import throttle
from coop.identity.throttle import Attempts, Limit, TooManyAttempts
from coop.unit_of_work import Units

LIMIT = Limit("a test", 5, timedelta(minutes=1))


async def test_a_refusal_does_not_undo_the_count(units: Units) -> None:
    for _ in range(5):
        await throttle.admit(units, LIMIT.by("ada"))
    for _ in range(3):
        with pytest.raises(TooManyAttempts):
            await throttle.admit(units, LIMIT.by("ada"))

    async with units.read() as work:
        assert await work.session.scalar(select(Attempts.count)) == 8


async def test_a_hundred_at_once_are_a_hundred(units: Units) -> None:
    admitted: list[bool] = []

    async def knock() -> None:
        try:
            await throttle.admit(units, LIMIT.by("ada"), LIMIT.by("here"))
        except TooManyAttempts:
            admitted.append(False)
        else:
            admitted.append(True)

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(knock)

    assert sum(admitted) == 5


async def test_knocking_on_does_not_make_the_wait_longer(units: Units, clock: FixedClock) -> None:
    for _ in range(5):
        await throttle.admit(units, LIMIT.by("ada"))
    clock.advance(timedelta(seconds=59))
    with pytest.raises(TooManyAttempts) as refused:
        await throttle.admit(units, LIMIT.by("ada"))
    assert refused.value.retry_after == 1

    clock.advance(timedelta(seconds=1))

    await throttle.admit(units, LIMIT.by("ada"))


async def test_one_right_answer_gives_back_one_attempt_only(units: Units) -> None:
    for _ in range(5):
        await throttle.admit(units, LIMIT.by("ada"))
    async with units.open() as work:
        await throttle.give_back(work, LIMIT.by("ada"))

    await throttle.admit(units, LIMIT.by("ada"))
    with pytest.raises(TooManyAttempts):
        await throttle.admit(units, LIMIT.by("ada"))


async def test_neither_name_nor_address_can_be_read_from_a_dump(units: Units) -> None:
    await throttle.admit(units, LIMIT.by("ada@example.org", "192.0.2.1"))

    async with units.read() as work:
        (row,) = await work.session.scalars(select(Attempts))
    assert len(row.digest) == 32
    assert b"ada" not in row.digest


@pytest.mark.parametrize(
    ("host", "whom"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("not an address", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_subscriber_with_many_addresses_is_one(host: str | None, whom: str) -> None:
    assert throttle.address(host) == whom
