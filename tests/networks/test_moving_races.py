"""Moving in, twenty at once: an account is claimed once, a member has one name, an import and a choice do not collide."""

from collections import Counter
from collections.abc import Awaitable, Callable

import anyio

from coop.errors import CoopError
from coop.identity.accounts import Account
from coop.networks import aliases
from coop.unit_of_work import Units
from tests import people as accounts
from tests.networks import people
from tests.networks.test_moving import bring_in, claim, take, tokens


async def at_once(*attempts: Callable[[], Awaitable[object]]) -> Counter[object]:
    """Make all attempts at the same time, and count how they ended."""
    outcomes: Counter[object] = Counter()

    async def attempt(one: Callable[[], Awaitable[object]]) -> None:
        try:
            outcomes[await one()] += 1
        except CoopError as refusal:
            outcomes[refusal.code] += 1

    async with anyio.create_task_group() as group:
        for one in attempts:
            group.start_soon(attempt, one)
    return outcomes


async def test_of_twenty_who_bring_one_link_one_gets_the_account(units: Units) -> None:
    lagoon = await people.network(units)
    members = [await accounts.register(units, f"person{n}") for n in range(20)]
    await bring_in(units, lagoon, "handle\nAnna.Old\n")
    token = (await tokens(units, lagoon))["Anna.Old"]

    def bringing(member: Account) -> Callable[[], Awaitable[object]]:
        return lambda: claim(units, member, token)

    assert await at_once(*map(bringing, members)) == {"Anna.Old": 1, "account_claimed": 19}


async def test_one_member_with_twenty_links_gets_one_account(units: Units) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna")
    await bring_in(units, lagoon, "\n".join(["handle", *(f"Old-{n}" for n in range(20))]))
    links = await tokens(units, lagoon)

    def bringing(token: str) -> Callable[[], Awaitable[object]]:
        return lambda: claim(units, anna, token)

    outcomes = await at_once(*map(bringing, links.values()))

    assert outcomes.pop("alias_fixed") == 19
    (name,) = outcomes
    async with units.read() as work:
        mine = await aliases.of(work, lagoon, anna.id)
    assert mine is not None
    assert mine.alias == name
    assert len(await tokens(units, lagoon)) == 19


async def test_a_link_and_an_address_for_one_account_at_once_give_it_once(units: Units) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna", email="anna@example.org")
    others = [await accounts.register(units, f"person{n}") for n in range(10)]
    await bring_in(units, lagoon, "handle,email\nAnna.Old,anna@example.org\n")
    token = (await tokens(units, lagoon))["Anna.Old"]

    def bringing(member: Account) -> Callable[[], Awaitable[object]]:
        return lambda: claim(units, member, token)

    outcomes = await at_once(
        *map(bringing, others[:5]), lambda: take(units, lagoon, anna, "Anna.Old"), *map(bringing, others[5:])
    )

    assert outcomes["Anna.Old"] == 1
    assert sum(outcomes.values()) == 11


async def test_the_same_file_imported_ten_times_at_once_is_imported_once(units: Units) -> None:
    lagoon = await people.network(units)
    text = "\n".join(["handle", *(f"Old-{n}" for n in range(50))])

    async def bring() -> object:
        return (await bring_in(units, lagoon, text)).outcomes["new"]

    assert await at_once(*[bring] * 10) == {50: 1, 0: 9}


async def test_a_name_that_is_chosen_while_it_is_imported_has_one_owner(units: Units) -> None:
    lagoon = await people.network(units)
    members = [await accounts.register(units, f"person{n}") for n in range(10)]

    async def bring() -> object:
        found = await bring_in(units, lagoon, "handle\nheron\n")
        return f"import: {found.findings[0].outcome}"

    def choosing(member: Account) -> Callable[[], Awaitable[object]]:
        return lambda: take(units, lagoon, member, "heron")

    outcomes = await at_once(*map(choosing, members[:5]), bring, *map(choosing, members[5:]))

    assert outcomes["heron"] + outcomes["import: new"] == 1
    assert sum(outcomes.values()) == 11
