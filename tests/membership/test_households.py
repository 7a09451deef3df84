from datetime import timedelta
from uuid import uuid4

import anyio
import msgspec
import pytest

from coop import policies
from coop.clock import FixedClock
from coop.identity.accounts import Account
from coop.membership import households
from coop.membership.households import (
    HouseholdFull,
    InAnotherHousehold,
    InvitationUsed,
    NoHouseholds,
    NoSuchInvitation,
    NotThePayer,
)
from coop.policies import Dues
from coop.unit_of_work import Units
from tests.cooperative import found
from tests.people import register


async def law(units: Units, most: int) -> None:
    async with units.open() as work:
        dues = await policies.latest(work, Dues)
        await policies.adopt(
            work,
            msgspec.structs.replace(dues.document, household=most),
            act=f"motion:{uuid4()}",
            effective_at=work.now,
            replaces=dues.hash,
        )


async def invitation(units: Units, payer: Account) -> str:
    async with units.open() as work:
        made = await households.invite(work, payer.id)
        return households.code(units.settings, made.id)


async def accept(units: Units, account: Account, secret: str) -> None:
    async with units.open() as work:
        await households.accept(work, account.id, secret)


async def handles(units: Units, account: Account) -> list[str]:
    async with units.read() as work:
        household = await households.of(work, account.id)
        return [] if household is None else [p.handle for p in await households.people(work, household)]


async def test_somebody_joins_by_their_own_word_and_leaves_by_it(units: Units) -> None:
    await found(units)
    ada, bob = await register(units, "ada"), await register(units, "bob")

    secret = await invitation(units, ada)
    assert await handles(units, bob) == []
    await accept(units, bob, secret)
    assert sorted(await handles(units, bob)) == ["ada", "bob"]

    async with units.open() as work:
        await households.leave(work, bob.id)
    assert await handles(units, ada) == ["ada"]


async def test_of_twenty_who_bring_one_invitation_at_once_one_joins(units: Units) -> None:
    await found(units)
    ada = await register(units, "ada")
    crowd = [await register(units, f"p{n}") for n in range(20)]
    secret = await invitation(units, ada)
    refused = []

    async def try_it(account: Account) -> None:
        try:
            await accept(units, account, secret)
        except InvitationUsed:
            refused.append(account)

    async with anyio.create_task_group() as group:
        for account in crowd:
            group.start_soon(try_it, account)

    assert (len(await handles(units, ada)), len(refused)) == (2, 19)


async def test_a_household_never_grows_beyond_the_law(units: Units) -> None:
    await found(units)
    await law(units, 3)
    ada, bob, eve = [await register(units, name) for name in ("ada", "bob", "eve")]
    first, second = await invitation(units, ada), await invitation(units, ada)
    with pytest.raises(HouseholdFull):
        await invitation(units, ada)
    await accept(units, bob, first)
    await law(units, 2)

    with pytest.raises(HouseholdFull):
        await accept(units, eve, second)

    assert len(await handles(units, ada)) == 2


async def test_where_the_law_provides_for_none_nobody_is_invited(units: Units) -> None:
    await found(units)
    await law(units, 0)

    with pytest.raises(NoHouseholds):
        await invitation(units, await register(units, "ada"))


async def test_nobody_is_in_two_households(units: Units) -> None:
    await found(units)
    ada, bob, eve = [await register(units, name) for name in ("ada", "bob", "eve")]
    await accept(units, bob, await invitation(units, ada))

    with pytest.raises(InAnotherHousehold):
        await accept(units, bob, await invitation(units, eve))
    with pytest.raises(InAnotherHousehold):
        await invitation(units, bob)


async def test_an_invitation_taken_back_expired_or_maimed_leads_nowhere(
    units: Units, clock: FixedClock
) -> None:
    await found(units)
    ada, bob = await register(units, "ada"), await register(units, "bob")
    secret = await invitation(units, ada)
    async with units.open() as work:
        household = await households.of(work, ada.id)
        assert household
        (one,) = await households.invitations(work, household)
        assert await households.take_back(work, ada.id, one.id)
    late = await invitation(units, ada)
    clock.advance(timedelta(days=31))

    for dead, refusal in ((secret, InvitationUsed), (late, InvitationUsed), (late[:-1], NoSuchInvitation)):
        with pytest.raises(refusal):
            await accept(units, bob, dead)
    with pytest.raises(NoSuchInvitation):
        await accept(units, bob, "żółć")


async def test_only_the_payer_removes_and_a_payer_who_leaves_ends_it(units: Units) -> None:
    await found(units)
    ada, bob, eve = [await register(units, name) for name in ("ada", "bob", "eve")]
    await accept(units, bob, await invitation(units, ada))
    await accept(units, eve, await invitation(units, ada))
    with pytest.raises(NotThePayer):
        async with units.open() as work:
            await households.remove(work, bob.id, eve.id)
    async with units.open() as work:
        await households.remove(work, ada.id, eve.id)
    assert await handles(units, eve) == []

    async with units.open() as work:
        await households.leave(work, ada.id)

    assert await handles(units, bob) == []
