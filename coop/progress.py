"""Progress: what long runs tell whoever watches them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Tell = Callable[[int], object]
"""Hears how many more are done."""


def nobody(count: int) -> None:
    """Hear it for nobody: what runs at night."""
    del count


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a long run; it finds its own due work, batch by batch, and is safe to repeat."""

    name: str
    """What it does to members, in a few words."""
    due: Callable[[], Awaitable[int]]
    """About how many it will do, as it stands now."""
    run: Callable[[Tell], Awaitable[int]]
