from datetime import timedelta

import pytest
from sqlalchemy import func, select

from coop.authorization import expiry
from coop.authorization.grants import Grant
from coop.authorization.tokens import AccessToken, RefreshToken
from coop.clock import FixedClock
from coop.identity import housekeeping
from coop.unit_of_work import Units
from tests.protocol.relying_party import RelyingParty


async def counted(units: Units) -> tuple[int, ...]:
    async with units.read() as work:
        return tuple(
            [
                await work.session.scalar(select(func.count()).select_from(table)) or 0
                for table in (AccessToken, RefreshToken, Grant)
            ]
        )


@pytest.mark.usefixtures("ada")
async def test_expired_tokens_are_forgotten_and_living_families_stay(
    party: RelyingParty, units: Units, clock: FixedClock
) -> None:
    tokens = await party.tokens()
    clock.advance(timedelta(days=8))

    await expiry.forget_due(units)

    assert await counted(units) == (0, 1, 1)
    assert (await party.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.usefixtures("ada")
async def test_a_grant_goes_with_the_last_of_its_tokens_and_its_session(
    party: RelyingParty, units: Units, clock: FixedClock
) -> None:
    await party.tokens()
    clock.advance(timedelta(days=68))
    await expiry.forget_due(units)
    assert await counted(units) == (0, 0, 1)

    await housekeeping.sweep(units)
    await expiry.forget_due(units)

    assert await counted(units) == (0, 0, 0)
