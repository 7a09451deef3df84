from uuid import UUID

import msgspec
import pytest

from coop.clock import FixedClock
from coop.networks import subjects
from coop.settings import BadSettings, Settings
from coop.unit_of_work import Units
from tests.networks import people

ACCOUNT = UUID("6f2c1c4e-8a3e-4a35-9b1e-0c5f3f7a2b11")


def test_a_subject_is_stable_and_differs_by_sector_account_and_secret() -> None:
    settings, other = (
        Settings(demo=True, pairwise_secret="9a" * 32),
        Settings(demo=True, pairwise_secret="9b" * 32),
    )

    subject = subjects.derive(settings, "a.example", ACCOUNT)

    # Written out, since a change of the derivation would make every member a stranger on every network.
    assert subject == "rSVNNTkCdb0pv5AaB7_a-V-nr--BiqGPu2t6i9aT1pE"
    assert (
        len(
            {
                subject,
                subjects.derive(settings, "b.example", ACCOUNT),
                subjects.derive(settings, "a.example", UUID(int=1)),
                subjects.derive(other, "a.example", ACCOUNT),
            }
        )
        == 4
    )


async def test_two_networks_know_one_account_under_different_subjects(units: Units) -> None:
    account_id = await people.account(units, "robin")
    first, second = await people.network(units, "Lagoon"), await people.network(units, "Harbor")

    async with units.read() as work:
        assert await subjects.of(work, first, account_id) != await subjects.of(work, second, account_id)


def test_without_a_secret_no_subject_is_derived() -> None:
    with pytest.raises(BadSettings):
        subjects.derive(Settings(demo=True), "a.example", ACCOUNT)


async def test_another_secret_is_refused_at_start(units: Units, clock: FixedClock) -> None:
    async with units.open() as work:
        await subjects.check_secret(work)
    async with units.open() as work:
        await subjects.check_secret(work)

    replaced = Units(msgspec.structs.replace(units.settings, pairwise_secret="00" * 32), clock)
    with pytest.raises(BadSettings, match="not the one"):
        async with replaced.open() as work:
            await subjects.check_secret(work)
    await replaced.close()
