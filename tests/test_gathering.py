from collections.abc import Sequence

import anyio
import pytest

from coop.gathering import Gathering


async def test_what_is_asked_meanwhile_is_done_together_and_answered_each() -> None:
    rounds: list[list[int]] = []

    async def double(asked: Sequence[int]) -> list[int]:
        rounds.append(list(asked))
        await anyio.lowlevel.checkpoint()
        return [2 * each for each in asked]

    gathering = Gathering(double, most=4)
    answers: dict[int, int] = {}

    async def ask(number: int) -> None:
        answers[number] = await gathering.ask(number)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, number)

    assert answers == {number: 2 * number for number in range(10)}
    assert len(rounds) < 10
    assert max(map(len, rounds)) <= 4


async def test_an_error_is_everybodys_of_that_round_and_of_no_other() -> None:
    async def refuse_odd(asked: Sequence[int]) -> Sequence[int]:
        await anyio.lowlevel.checkpoint()
        if any(each % 2 for each in asked):
            raise LookupError
        return asked

    gathering = Gathering(refuse_odd)
    with pytest.raises(LookupError):
        await gathering.ask(1)
    assert await gathering.ask(2) == 2


async def test_whoever_hangs_up_in_the_middle_of_a_round_ends_it_for_nobody() -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def wait(asked: Sequence[int]) -> Sequence[int]:
        begun.set()
        await go_on.wait()
        return asked

    gathering = Gathering(wait)
    answers: list[int] = []

    async def ask(number: int) -> None:
        answers.append(await gathering.ask(number))

    async with anyio.create_task_group() as tasks:
        impatient = anyio.CancelScope()

        async def first() -> None:
            with impatient:
                await ask(1)

        tasks.start_soon(first)
        await begun.wait()
        tasks.start_soon(ask, 2)
        impatient.cancel()
        await anyio.lowlevel.checkpoint()
        go_on.set()

    assert 2 in answers
