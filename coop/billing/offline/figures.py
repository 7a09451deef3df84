"""Figures in other people's files: amounts and days as banks write them, read exactly or not at all."""

import re
from datetime import date
from typing import Literal

from coop.errors import Invalid, Sentence
from coop.money import Currency, Money

DecimalMark = Literal["auto", "comma", "point"]
DayOrder = Literal["auto", "dmy", "mdy"]

_MARKS = {"comma": ",", "point": "."}
_SPACES = re.compile(r"[\s'\u2019\u00a0\u202f]")
_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-"})
_ISO = re.compile(r"([0-9]{4})[-/.]?([0-9]{2})[-/.]?([0-9]{2})(?:[T ].*)?", re.ASCII)
_OTHER = re.compile(r"([0-9]{1,2})([./-])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})", re.ASCII)
_MONTHS = 12
_GROUP = 3


class UnreadableFigure(Invalid):
    """An amount or a day in the file cannot be read with certainty."""

    code = "unreadable_figure"


def amount(text: str, currency: Currency, mark: DecimalMark = "auto") -> Money:
    """Read an amount with sign and thousands, such as `-1.234,50`; refuse what could be two amounts."""
    bare = _SPACES.sub("", text.translate(_SIGNS))
    code = currency.code.upper()
    bare = bare.removesuffix(code).removeprefix(code)
    negative = bare.startswith("-") or bare.endswith("-")
    bare = bare.removesuffix("-") if bare.endswith("-") else bare.removeprefix("-").removeprefix("+")
    whole, part = _parted(bare, mark, text)
    if not re.fullmatch(r"[0-9]{1,13}", whole, re.ASCII) or not re.fullmatch(r"[0-9]*", part, re.ASCII):
        raise UnreadableFigure(Sentence("“%(text)s” is not an amount.", text=text[:40]))
    if len(part.rstrip("0")) > currency.places:
        raise UnreadableFigure(
            Sentence("“%(text)s” has more decimals than %(currency)s has.", text=text[:40], currency=code)
        )
    minor = int(whole) * 10**currency.places + int(part[: currency.places].ljust(currency.places, "0") or 0)
    return Money(-minor if negative else minor)


def _parted(bare: str, mark: DecimalMark, text: str) -> tuple[str, str]:
    """Part `bare` at its decimal mark, with the marks of thousands taken out."""
    used = [character for character in bare if character in ".,"]
    if mark != "auto":
        decimal = _MARKS[mark]
    elif len(set(used)) > 1:
        decimal = used[-1]
    elif len(used) == 1 and len(bare.partition(used[0])[2]) != _GROUP:
        decimal = used[0]
    elif not used or len(used) > 1:
        decimal = ""
    else:
        raise UnreadableFigure(
            Sentence(
                "“%(text)s” could be two amounts; say --decimal comma or --decimal point.", text=text[:40]
            )
        )
    whole, _, part = bare.partition(decimal) if decimal else (bare, "", "")
    if decimal and bare.count(decimal) > 1:
        raise UnreadableFigure(Sentence("“%(text)s” is not an amount.", text=text[:40]))
    thousands = re.split(r"[.,]", whole)
    if len(thousands) > 1 and any(len(group) != _GROUP for group in thousands[1:]):
        raise UnreadableFigure(Sentence("“%(text)s” is not an amount.", text=text[:40]))
    return "".join(thousands), part


def day(text: str, order: DayOrder = "auto") -> date:
    """Read a day: ISO, `24.11.2026`, `24/11/26`; refuse one whose day and month could be each other unless `order` says."""
    bare = text.strip()
    try:
        if iso := _ISO.fullmatch(bare):
            return date(*map(int, iso.groups()))
        if other := _OTHER.fullmatch(bare):
            return _ordered(other, order, bare)
    except ValueError:
        pass
    raise UnreadableFigure(Sentence("“%(text)s” is not a day.", text=bare[:40]))


def _ordered(found: re.Match[str], order: DayOrder, text: str) -> date:
    first, mark, second, year = int(found[1]), found[2], int(found[3]), int(found[4])
    year += 2000 if year < 100 else 0  # noqa: PLR2004 - banks write 26 for 2026
    # Where days are written with dots, the day comes first; with slashes the world is divided.
    if order == "auto" and (mark == "." or first > _MONTHS or first == second):
        order = "dmy"
    elif order == "auto" and second > _MONTHS:
        order = "mdy"
    elif order == "auto":
        raise UnreadableFigure(
            Sentence("“%(text)s” could be two days; say --dates dmy or --dates mdy.", text=text[:40])
        )
    return date(year, second, first) if order == "dmy" else date(year, first, second)
