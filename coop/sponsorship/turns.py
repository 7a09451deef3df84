"""Turns: whom the pool covers, of those who stand in line; a pure rule, so that it can be held against the law.

Strict order: whoever the pool cannot cover keeps everybody behind them waiting, however small their gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from coop.money import ZERO, Money
from coop.sponsorship.place_batches import Candidate


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of the head of the line."""

    given: list[Candidate] = field(default_factory=list)
    needless: list[Candidate] = field(default_factory=list)
    """Those who would pay as much as a year costs now."""


def take(line: Sequence[Candidate], *, price: Money, free: Money, firsts: int) -> Turn:
    """Go along the line while the pool's `free` part lasts, past those who would be one more first member than `firsts`."""
    turn = Turn()
    for place in line:
        if place.first and firsts <= 0:
            continue
        gap = price - place.contribution
        if gap <= ZERO:
            turn.needless.append(place)
            continue
        if gap > free:
            break
        free -= gap
        firsts -= place.first
        turn.given.append(place)
    return turn
