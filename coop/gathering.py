"""Gathering: what is asked for at the same moment is done together, as long as one round takes the next one collects."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import anyio

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class _Waiting(Generic[Asked, Answer]):
    __slots__ = ("answer", "asked", "done", "error")

    def __init__(self, asked: Asked):
        self.asked = asked
        self.done = False
        self.error: Exception | None = None
        self.answer: Answer | None = None


class Gathering(Generic[Asked, Answer]):
    """Lets many ask for one thing each, and has it done for all who wait by whoever's turn it is.

    There is no clock in it: who is alone waits for nobody.
    """

    def __init__(self, together: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]], *, most: int = 64):
        """Do at `most` so many `together`, which answers each in its place."""
        self._together = together
        self._most = most
        self._waiting: list[_Waiting[Asked, Answer]] = []
        self._turn = anyio.Lock(fast_acquire=True)

    async def ask(self, asked: Asked) -> Answer:
        """Return the answer to `asked`; an error is everybody's whose turn it was."""
        mine: _Waiting[Asked, Answer] = _Waiting(asked)
        self._waiting.append(mine)
        async with self._turn:
            if not mine.done:
                round_, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                # Others wait for this round: whoever hangs up in the middle of it must not end it.
                with anyio.CancelScope(shield=True):
                    await self._go(round_)
        if mine.error is not None:
            raise mine.error
        return mine.answer  # type: ignore[return-value]  # answered, since its round is over

    async def _go(self, round_: list[_Waiting[Asked, Answer]]) -> None:
        try:
            answers = await self._together([each.asked for each in round_])
        except Exception as error:  # noqa: BLE001 - it is handed to everybody who asked
            for each in round_:
                each.error, each.done = error, True
            return
        for each, answer in zip(round_, answers, strict=True):
            each.answer, each.done = answer, True
