"""What a version of law changed, word for word: values and lines of text, removed and added."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from coop.policies.documents import Policy, values

Mark = Literal["same", "removed", "added", "gap"]
CONTEXT = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comparison; a gap stands for unchanged lines that were left out."""

    mark: Mark
    text: str = ""


def lines_of(document: Policy) -> list[str]:
    """Return a document as lines: a field a line, then its text as it is."""
    raw = values(document)
    text = raw.pop("text", "")
    rules = [f"{name} = {_value(value)}" for name, value in raw.items()]
    return [*rules, *str(text).splitlines()]


def between(old: Policy | None, new: Policy) -> list[Line]:
    """Return how `new` differs from `old`, with a little context; everything was added if there was none."""
    before = lines_of(old) if old is not None else []
    after = lines_of(new)
    if old is None:
        return [Line("added", text) for text in after]
    return list(_grouped(difflib.SequenceMatcher(a=before, b=after, autojunk=False), before, after))


def _grouped(matcher: "difflib.SequenceMatcher[str]", before: list[str], after: list[str]) -> Iterator[Line]:
    end = 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if group[0][1] > end:
            yield Line("gap")
        for tag, a, a_end, b, b_end in group:
            if tag == "equal":
                yield from (Line("same", text) for text in before[a:a_end])
                continue
            yield from (Line("removed", text) for text in before[a:a_end])
            yield from (Line("added", text) for text in after[b:b_end])
        end = group[-1][2]
    if 0 < end < len(before):
        yield Line("gap")


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_value(part) for part in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={_value(part)}" for name, part in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
