from datetime import timedelta
from uuid import UUID, uuid4

import anyio
import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from coop import policies
from coop.policies import Dues, Shares
from coop.unit_of_work import UnitOfWork, Units


async def found(units: Units) -> None:
    """Found in earnest, unlike the tests of what a founded cooperative does."""
    async with units.open() as work:
        await policies.found(work)


async def raise_price(
    work: UnitOfWork, price: int, *, act: UUID | None = None, days: int = 0
) -> policies.Version[Dues]:
    dues = await policies.latest(work, Dues)
    return await policies.adopt(
        work,
        msgspec.structs.replace(dues.document, price=price),
        act=f"motion:{act or uuid4()}",
        effective_at=work.now + timedelta(days=days),
        replaces=dues.hash,
    )


async def test_a_founded_cooperative_has_every_kind_of_law(units: Units) -> None:
    await found(units)

    async with units.read() as work:
        law = await policies.law(work)

    assert list(law) == list(policies.KINDS)
    assert {version.act for version in law.values()} == {"founding"}


async def test_dues_whose_instalments_operations_could_not_bear_are_refused(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        shares = await policies.latest(work, Shares)
        # 10 % of 25.00 pays one card fee of 1.03, and not twelve of 0.37.
        poorer = msgspec.structs.replace(shares.document, networks=8000, operations=1000)
        with pytest.raises(policies.BadPolicy) as refused:
            await policies.adopt(
                work, poorer, act=f"motion:{uuid4()}", effective_at=work.now, replaces=shares.hash
            )

    assert refused.value.field == "operations"


async def test_founding_twice_changes_nothing(units: Units) -> None:
    await found(units)
    await found(units)

    async with units.read() as work:
        assert len(await policies.history(work, Dues)) == 1


async def test_without_founding_there_is_no_law(units: Units) -> None:
    async with units.read() as work:
        with pytest.raises(policies.NotFounded):
            await policies.in_force(work, Dues)


async def test_a_version_is_in_force_from_its_instant_on_and_not_before(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        adopted = await raise_price(work, 2700, days=7)

    async with units.read() as work:
        assert (await policies.in_force(work, Dues)).document.price == 2500
        before = adopted.effective_at - timedelta(microseconds=1)
        assert (await policies.at(work, Dues, before)).document.price == 2500
        assert (await policies.at(work, Dues, adopted.effective_at)).document.price == 2700
    await units.advance(timedelta(days=7))
    async with units.read() as work:
        assert (await policies.in_force(work, Dues)).document.price == 2700


async def test_a_version_names_the_act_behind_it_and_the_version_before(units: Units) -> None:
    await found(units)
    motion = uuid4()
    async with units.open() as work:
        first = await policies.in_force(work, Dues)
        second = await raise_price(work, 2700, act=motion)

    assert second.act == f"motion:{motion}"
    assert second.replaces == first.hash
    assert (first.number, second.number) == (1, 2)


async def test_going_back_to_an_old_price_is_a_version_of_its_own(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        first = await policies.in_force(work, Dues)
        await raise_price(work, 2700)
        third = await raise_price(work, first.document.price)

    assert third.document == first.document
    assert third.hash != first.hash


async def test_an_act_upon_an_outdated_version_is_refused(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        first = await policies.in_force(work, Dues)
        await raise_price(work, 2700)

        with pytest.raises(policies.PolicyConflict):
            await policies.adopt(
                work, first.document, act=f"motion:{uuid4()}", effective_at=work.now, replaces=first.hash
            )


async def test_of_two_simultaneous_adoptions_one_stands(units: Units) -> None:
    await found(units)
    outcomes: list[str] = []
    async with units.read() as work:
        first = await policies.in_force(work, Dues)

    async def adopt_over_first(price: int) -> None:
        try:
            async with units.open() as work:
                await policies.adopt(
                    work,
                    msgspec.structs.replace(first.document, price=price),
                    act=f"motion:{uuid4()}",
                    effective_at=work.now,
                    replaces=first.hash,
                )
        except policies.PolicyConflict:
            outcomes.append("refused")
        else:
            outcomes.append("adopted")

    async with anyio.create_task_group() as group:
        group.start_soon(adopt_over_first, 2700)
        group.start_soon(adopt_over_first, 2800)

    assert sorted(outcomes) == ["adopted", "refused"]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE policy_versions SET document = '{}'", "DELETE FROM policy_versions"],
)
async def test_the_database_refuses_to_change_law(units: Units, statement: str) -> None:
    await found(units)

    with pytest.raises(DBAPIError, match="append-only"):
        async with units.open() as work:
            await work.session.execute(text(statement))


async def test_an_act_must_be_of_a_known_kind(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        dues = await policies.in_force(work, Dues)
        with pytest.raises(policies.BadPolicy):
            await policies.adopt(
                work, dues.document, act="steward:zoe", effective_at=work.now, replaces=dues.hash
            )


async def test_shares_that_could_not_bear_the_card_fee_are_refused(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        shares = await policies.in_force(work, Shares)
        starving = msgspec.structs.replace(shares.document, networks=8800, operations=200)

        with pytest.raises(policies.BadPolicy) as refusal:
            await policies.adopt(
                work, starving, act=f"motion:{uuid4()}", effective_at=work.now, replaces=shares.hash
            )

    assert refusal.value.field == "operations"


async def test_a_price_under_which_operations_could_not_bear_the_fee_is_refused(units: Units) -> None:
    await found(units)
    async with units.open() as work:
        dues = await policies.in_force(work, Dues)
        cheap = msgspec.structs.replace(dues.document, price=100, minimum_card=50)

        with pytest.raises(policies.BadPolicy) as refusal:
            await policies.adopt(
                work, cheap, act=f"motion:{uuid4()}", effective_at=work.now, replaces=dues.hash
            )

    assert refusal.value.field == "price"
