"""Money: whole minor units (cents) of the co-op's one home currency, bounded and strict.

An amount carries no currency of its own: a cooperative keeps its books in one (docs/decisions/0002), so
a sum can never mix two. `Currency` says how that one is written and read.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from coop.errors import Invalid

MOST_MINOR = 10**15
"""The largest amount in minor units; it leaves room in 64 bits for the sum of nine thousand of them."""

_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


class BadAmount(Invalid):
    """Write the amount with digits and at most one decimal point, like 25 or 12.50."""

    code = "bad_amount"


@dataclass(frozen=True, order=True, slots=True)
class Money:
    """An exact amount in minor units; may be negative, never fractional."""

    minor: int

    def __post_init__(self) -> None:
        """Refuse booleans, floats and amounts that no cooperative has."""
        # `type is int`, since True is an int and 1.0 == 1: neither may become money.
        if type(self.minor) is not int:
            msg = f"money is a whole number of minor units, not {type(self.minor).__name__}"
            raise TypeError(msg)
        if abs(self.minor) > MOST_MINOR:
            raise BadAmount("That amount is too large.")

    def __add__(self, other: Self) -> "Money":
        return Money(self.minor + other.minor)

    def __sub__(self, other: Self) -> "Money":
        return Money(self.minor - other.minor)

    def __mul__(self, times: int) -> "Money":
        if type(times) is not int:
            return NotImplemented
        return Money(self.minor * times)

    __rmul__ = __mul__

    def __neg__(self) -> "Money":
        return Money(-self.minor)

    def __abs__(self) -> "Money":
        return Money(abs(self.minor))

    def __bool__(self) -> bool:
        return self.minor != 0


ZERO = Money(0)


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 currency and the number of its decimal places."""

    code: str
    places: int = 2

    @classmethod
    def of(cls, code: str) -> "Currency":
        """Return the currency named by a three-letter ISO code in any case."""
        code = code.lower()
        if not re.fullmatch(r"[a-z]{3}", code):
            raise Invalid("A currency is three letters, like usd.", field="currency")
        return cls(code, _PLACES.get(code, 2))

    def parse(self, text: str, *, field: str = "amount") -> Money:
        """Read what a person typed: `25`, `12.50`, `12,50`; no signs, exponents, thousands or foreign digits."""
        whole, mark, part = text.strip().replace(",", ".").partition(".")
        if not _DIGITS.fullmatch(whole) or (mark and not _DIGITS.fullmatch(part)) or len(part) > self.places:
            raise BadAmount(field=field)
        return Money(int(whole) * 10**self.places + int(part.ljust(self.places, "0") or 0))

    def plain(self, amount: Money) -> str:
        """Write `amount` with a decimal point and no symbol, as the books do: 2500 -> 25.00."""
        sign, minor = ("-" if amount.minor < 0 else ""), abs(amount.minor)
        if not self.places:
            return f"{sign}{minor}"
        whole, part = divmod(minor, 10**self.places)
        return f"{sign}{whole}.{part:0{self.places}d}"


# ISO 4217 currencies whose minor unit is not a hundredth; Stripe treats the first group the same way.
_PLACES = dict.fromkeys(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split(), 0
) | dict.fromkeys("bhd jod kwd omr tnd".split(), 3)


WHOLE = 10_000
"""All of something, in basis points."""


def in_proportion(amount: Money, part: int, whole: int) -> Money:
    """Return `amount` times `part` of `whole`, none of them negative, rounded half up to the minor unit."""
    if amount.minor < 0 or not 0 <= part <= whole or not whole:
        msg = "a proportion wants a non-negative amount and a part of a whole"
        raise ValueError(msg)
    return Money((2 * amount.minor * part + whole) // (2 * whole))


def vat_within(gross: Money, rate: int) -> Money:
    """Return the VAT that a price contains at `rate` in basis points: 25.00 at 2300 is 20.33 and 4.67."""
    return in_proportion(gross, rate, WHOLE + rate)


def apportion(amount: Money, weights: Mapping[str, int], *, salt: str = "") -> dict[str, Money]:
    """Split a non-negative `amount` by `weights` to the last minor unit (largest remainder, Hamilton).

    The result does not depend on the order of `weights`; ties fall by SHA-256 of `salt` and the key, so that
    no key is favoured for its place in the alphabet (billing.md, rounding).
    """
    total = sum(weights.values())
    if amount.minor < 0 or total <= 0 or min(weights.values(), default=0) < 0:
        msg = "apportion wants a non-negative amount and non-negative weights that are not all zero"
        raise ValueError(msg)
    floors = {key: amount.minor * weight // total for key, weight in weights.items()}
    left = amount.minor - sum(floors.values())

    def precedence(key: str) -> tuple[int, bytes]:
        remainder = amount.minor * weights[key] % total
        return (-remainder, hashlib.sha256(f"{salt}\x00{key}".encode()).digest())

    for key in sorted(weights, key=precedence)[:left]:
        floors[key] += 1
    return {key: Money(minor) for key, minor in floors.items()}
