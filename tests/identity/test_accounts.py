import anyio
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from coop.identity import accounts, addresses
from coop.identity.accounts import Account, HandleTaken
from coop.identity.addresses import BadAddress
from coop.outbox import OutboxMessage
from coop.unit_of_work import Units
from tests.people import register


async def test_registering_is_announced(units: Units) -> None:
    account = await register(units)

    async with units.read() as work:
        kinds = list(await work.session.scalars(select(OutboxMessage.kind)))
    assert kinds == ["AccountRegistered"]
    assert account.handle == "ada"


async def test_of_twenty_who_want_one_handle_at_once_one_gets_it(units: Units) -> None:
    outcomes: list[str] = []

    async def try_for_it() -> None:
        try:
            await register(units, "ada")
        except HandleTaken:
            outcomes.append("taken")
        else:
            outcomes.append("got it")

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(try_for_it)

    assert sorted(outcomes) == ["got it"] + ["taken"] * 19
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Account)) == 1


async def test_an_unverified_address_keeps_nobody_from_it(units: Units) -> None:
    await register(units, "ada", email="one@example.org", verified=False)
    owner = await register(units, "grace", email="one@example.org")

    async with units.read() as work:
        found = await accounts.by_name(work, "One@Example.org ")
    assert found is not None
    assert found.id == owner.id


async def test_a_verified_address_belongs_to_one_account(units: Units) -> None:
    await register(units, "ada", email="one@example.org")

    with pytest.raises(IntegrityError):
        await register(units, "grace", email="one@example.org")


async def test_an_account_is_found_by_its_handle_as_people_type_it(units: Units) -> None:
    account = await register(units, "ada")

    async with units.read() as work:
        found = await accounts.by_name(work, " @Ada")
    assert found is not None
    assert found.id == account.id


@pytest.mark.parametrize("typed", ["\0", "x" * 3000, "@", "", "nobody", "nobody@example.org"])
async def test_nobody_is_found_by_nonsense(units: Units, typed: str) -> None:
    async with units.read() as work:
        assert await accounts.by_name(work, typed) is None


@pytest.mark.parametrize(
    "typed",
    [
        "ada",
        "ada@",
        "@example.org",
        "a da@example.org",
        "ada@example",
        "ada@exa\0mple.org",
        "ada@exämple.org",
        "a..b@example.org",
        "ada@example.org\nBcc: all@example.org",
        "x" * 250 + "@example.org",
    ],
)
def test_an_address_that_no_letter_could_reach_is_refused(typed: str) -> None:
    with pytest.raises(BadAddress):
        addresses.checked(typed)


def test_an_address_is_kept_in_lower_case_and_may_be_left_out() -> None:
    assert addresses.checked(" Ada@Example.ORG ") == "ada@example.org"
    assert addresses.checked("  ") is None
