from datetime import date, timedelta
from uuid import uuid4

from coop.identity.accounts import Account
from coop.membership import entitlements, standing
from coop.unit_of_work import Units
from tests.cooperative import found
from tests.membership.people import grant, newcomer
from tests.statements import said_to


async def test_a_stranger_is_entitled_to_nothing(units: Units) -> None:
    async with units.read() as work:
        assert await entitlements.of(work, uuid4()) == entitlements.NONE


async def test_a_member_is_active_until_the_end_of_a_month(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        await grant(work, account := await newcomer(work))

    async with units.read() as work:
        known = await entitlements.of(work, account)
    assert known == entitlements.Entitlement(
        membership="active", until=date(2027, 3, 31), entitlements=("ad-free",), groups=("coop-members",)
    )


async def test_grace_is_active_to_networks(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        await grant(work, account := await newcomer(work))
    await units.advance(timedelta(days=365 + 20))

    async with units.read() as work:
        assert (await standing.of(work, account)).state == "grace"
        known = await entitlements.of(work, account)
    assert (known.membership, known.until) == ("active", date(2027, 4, 30))


async def test_after_grace_there_is_nothing(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        await grant(work, account := await newcomer(work))
    await units.advance(timedelta(days=365 + 60))

    async with units.read() as work:
        assert await entitlements.of(work, account) == entitlements.NONE


async def test_a_locked_account_is_entitled_to_nothing(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        await grant(work, account := await newcomer(work))
        locked = await work.session.get(Account, account)
        assert locked is not None
        locked.locked_at = work.now

    async with units.read() as work:
        assert await entitlements.of(work, account) == entitlements.NONE


async def test_a_hundred_accounts_cost_one_query(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        members = [await newcomer(work) for _ in range(3)]
        for member in members:
            await grant(work, member)

    with said_to(units) as statements:
        async with units.read() as work:
            opened = len(statements)
            known = await entitlements.of_many(work, members + [uuid4() for _ in range(97)])

    assert len(statements) - opened == 1
    assert sum(one.membership == "active" for one in known.values()) == 3
