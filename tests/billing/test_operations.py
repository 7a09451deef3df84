"""Keys: claimed, answered, taken over from the dead, and let go of by nobody but those who hold them."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from coop.billing import operations
from coop.billing.gateway import GatewayAway
from coop.billing.operations import LEASE, InFlight, KeyReused
from coop.clock import FixedClock
from coop.unit_of_work import Units
from tests.people import register

KEY = "a-key-of-one-wish"


@pytest.fixture
async def person(units: Units) -> UUID:
    return (await register(units, "ada")).id


async def claim(units: Units, person: UUID, *, lease: UUID | None = None, wish: str = "25") -> str | None:
    async with units.open() as work:
        return await operations.claim(
            work, KEY, lease=lease or uuid4(), account_id=person, purpose="checkout", facts=(wish,)
        )


async def fail(units: Units, person: UUID) -> None:
    """Claim the key, and fail at the processor."""
    async with operations.released(units, KEY) as lease:
        await claim(units, person, lease=lease)
        raise GatewayAway


async def test_who_is_told_to_wait_leaves_the_key_with_those_who_work_on_it(
    units: Units, person: UUID
) -> None:
    await claim(units, person)

    for _ in range(2):
        # The first refusal once let the key go, and the second request went to the processor beside its holder.
        with pytest.raises(InFlight):
            await fail(units, person)


async def test_who_wishes_something_else_under_the_key_leaves_it_with_its_holder(
    units: Units, person: UUID
) -> None:
    await claim(units, person)

    with pytest.raises(KeyReused):
        async with operations.released(units, KEY) as lease:
            await claim(units, person, lease=lease, wish="40")

    with pytest.raises(InFlight):
        await claim(units, person)


async def test_who_lost_the_key_to_another_does_not_let_go_of_it(
    units: Units, clock: FixedClock, person: UUID
) -> None:
    async def be_late() -> None:
        async with operations.released(units, KEY) as lease:
            await claim(units, person, lease=lease)
            clock.advance(LEASE)
            await claim(units, person)
            raise GatewayAway

    with pytest.raises(GatewayAway):
        await be_late()

    with pytest.raises(InFlight):
        await claim(units, person)


async def test_who_fails_lets_go_so_that_a_repeat_need_not_wait(units: Units, person: UUID) -> None:
    with pytest.raises(GatewayAway):
        await fail(units, person)

    assert await claim(units, person) is None


async def test_a_key_of_the_dead_is_taken_over_once_its_lease_has_run_out(
    units: Units, clock: FixedClock, person: UUID
) -> None:
    await claim(units, person)
    clock.advance(LEASE - timedelta(seconds=1))
    with pytest.raises(InFlight):
        await claim(units, person)

    clock.advance(timedelta(seconds=1))

    assert await claim(units, person) is None
    with pytest.raises(InFlight):
        await claim(units, person)


async def test_an_answer_is_given_again_and_the_first_one_stands(units: Units, person: UUID) -> None:
    await claim(units, person)
    for said in ("/first", "/second"):
        async with units.open() as work:
            await operations.answer(work, KEY, said)

    assert await claim(units, person) == "/first"
