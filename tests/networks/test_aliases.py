from uuid import UUID

import anyio
import pytest

from coop.errors import CoopError
from coop.networks import aliases
from coop.unit_of_work import Units
from tests.networks import people


async def choose(units: Units, network_id: UUID, account_id: UUID, name: str) -> str:
    async with units.open() as work:
        return (await aliases.choose(work, network_id, account_id, name)).alias


async def test_a_member_may_take_their_own_handle(units: Units) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)

    assert await choose(units, lagoon, robin, "robin") == "robin"


async def test_nobody_takes_the_handle_of_another_member(units: Units) -> None:
    await people.account(units, "robin")
    wren, lagoon = await people.account(units, "wren"), await people.network(units)

    with pytest.raises(aliases.AliasTaken):
        await choose(units, lagoon, wren, "robin")


async def test_an_alias_is_unique_on_its_network_only(units: Units) -> None:
    robin, wren = await people.account(units, "robin"), await people.account(units, "wren")
    lagoon, harbor = await people.network(units, "Lagoon"), await people.network(units, "Harbor")
    await choose(units, lagoon, robin, "heron")

    with pytest.raises(aliases.AliasTaken):
        await choose(units, lagoon, wren, "heron")
    assert await choose(units, harbor, wren, "heron") == "heron"


async def test_an_alias_does_not_change(units: Units) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await choose(units, lagoon, robin, "heron")

    with pytest.raises(aliases.AliasFixed):
        await choose(units, lagoon, robin, "swan")
    assert await choose(units, lagoon, robin, "heron") == "heron"


@pytest.mark.parametrize(
    "name", ["", "a", "1ab", "_ab", "Heron", "he ron", "a" * 31, "héron", "heron\x00", "123"]
)
async def test_a_name_outside_the_grammar_is_refused(units: Units, name: str) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)

    with pytest.raises(aliases.BadAlias):
        await choose(units, lagoon, robin, name)


async def test_of_ten_who_ask_for_one_name_at_once_one_gets_it(units: Units) -> None:
    lagoon = await people.network(units)
    members = [await people.account(units, f"member{n}") for n in range(10)]
    outcomes: list[str] = []

    async def ask(account_id: UUID) -> None:
        try:
            outcomes.append(await choose(units, lagoon, account_id, "heron"))
        except CoopError as refusal:
            outcomes.append(refusal.code)

    async with anyio.create_task_group() as group:
        for account_id in members:
            group.start_soon(ask, account_id)

    assert sorted(outcomes) == ["alias_taken"] * 9 + ["heron"]


async def test_suggestions_are_fresh_and_fit_the_grammar(units: Units) -> None:
    lagoon = await people.network(units)

    async with units.read() as work:
        names = [await aliases.suggest(work, lagoon) for _ in range(20)]

    assert all(aliases.GRAMMAR.fullmatch(name) for name in names)
    assert len(set(names)) > 15


def test_the_longest_suggestion_fits_the_grammar() -> None:
    longest = f"{max(aliases.ADJECTIVES, key=len)}_{max(aliases.NOUNS, key=len)}999"

    assert aliases.GRAMMAR.fullmatch(longest)
