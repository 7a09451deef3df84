from uuid import UUID, uuid4

import msgspec
import pytest

from coop import policies
from coop.errors import Invalid
from coop.governance import electorate
from coop.membership import entitlements, organisations
from coop.membership.organisations import AccountOfAPerson, ForPersons, NoOrganisations
from coop.policies import BadPolicy, Dues
from coop.sponsorship import queue
from coop.unit_of_work import UnitOfWork, Units
from tests.cooperative import found
from tests.membership.people import grant, newcomer


async def organisation(work: UnitOfWork, name: str = "Print Shop") -> UUID:
    account_id = await newcomer(work, email=f"{uuid4().hex[:8]}@example.org")
    await organisations.register(work, account_id, name)
    return account_id


async def test_an_organisation_is_a_member_like_any_other_to_networks_and_has_no_vote(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        shop, ada = await organisation(work), await newcomer(work)
        for account_id in (shop, ada):
            await grant(work, account_id)
        voting = await policies.latest(work, policies.Voting)
        await policies.adopt(
            work,
            msgspec.structs.replace(voting.document, minimum_membership_days=0),
            act=f"motion:{uuid4()}",
            effective_at=work.now,
            replaces=voting.hash,
        )
        known = await entitlements.of_many(work, [shop, ada])

        assert known[shop] == known[ada]
        assert await electorate.includes(work, ada)
        assert not await electorate.includes(work, shop)


async def test_an_organisation_gets_nothing_of_the_pool(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        shop = await organisation(work)
        with pytest.raises(ForPersons):
            await queue.ask(work, shop)


async def test_who_was_a_member_stays_a_person_and_who_was_not_may_turn_back(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        ada, shop = await newcomer(work), await organisation(work)
        await grant(work, ada)
        with pytest.raises(AccountOfAPerson):
            await organisations.register(work, ada, "Ada")

        await organisations.turn_back(work, shop)
        assert await organisations.of(work, shop) is None
        await organisations.register(work, shop, "Print  Shop ")
        await grant(work, shop)
        await organisations.turn_back(work, shop)
        kept = await organisations.of(work, shop)

        assert kept is not None
        assert kept.name == "Print Shop"


@pytest.mark.parametrize("name", ["", "  ", "x" * 121, "a\x00b", "a\u202eb"])
async def test_a_name_that_is_none_is_refused(units: Units, name: str) -> None:
    await found(units)
    async with units.open() as work:
        account_id = await newcomer(work)
        with pytest.raises(Invalid):
            await organisations.register(work, account_id, name)


async def test_where_the_law_provides_for_none_nobody_registers_one(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        dues = await policies.latest(work, Dues)
        none = msgspec.structs.replace(dues.document, organisation=0)
        act = f"motion:{uuid4()}"
        await policies.adopt(work, none, act=act, effective_at=work.now, replaces=dues.hash)
        with pytest.raises(NoOrganisations):
            await organisation(work)
        with pytest.raises(BadPolicy):
            msgspec.structs.replace(dues.document, organisation=2400)
