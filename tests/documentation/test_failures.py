"""`docs/failures.md` names a test for every case, and each of them is there."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", GUIDE)))
CASES = [
    line for line in GUIDE.splitlines() if line.startswith("| ") and not line.startswith(("| case", "|---"))
]

PROMISED = (
    "a double click on Pay",
    "Stripe's answer is lost",
    "missed for more than a day",
    "the process dies and a restart tries again",
    "the same key with another amount",
    "two paid pages of one person",
    "a webhook never arrives",
    "one event a hundred times in parallel",
    "after the commit, before the 200",
    "every order of",
    "`updated(active)` before a late `created(incomplete)`",
    "a bad, old or future signature",
    "a secret is rotated",
    "a test-mode event at a live endpoint",
    "cancel and renewal in the same second",
    "a refund during renewal",
    "forty requests for four places",
    "disputed after the pool was spent",
    "a reservation expires while it is accepted",
    "29 February",
    "31 January",
    "daylight saving",
    "a member at UTC+14",
    "10.00 among three",
    "three partial refunds above the charge",
    "a part of a surplus payment",
    "a refund, then a dispute",
    "a dispute after a network was paid",
    "a dispute is won",
    "runs twice, or dies half way",
    "a clock a day off",
    "3-D Secure is abandoned",
    "a delayed payment fails days later",
    "a decline, then success in grace",
    "erasure with an open dispute",
    "Stripe's dashboard",
)
"""The cases that were promised; a new one is added to both lists."""


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    return frozenset(
        re.findall(r"^(?:async )?def (test_\w+)\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize("named", NAMED, ids="::".join)
def test_every_test_that_is_named_exists(named: tuple[str, str]) -> None:
    path, name = named
    assert name in names_in(path)


@pytest.mark.parametrize("case", CASES, ids=lambda line: line.split("|")[1].strip())
def test_every_case_names_a_test(case: str) -> None:
    assert re.search(r"`tests/[\w/]+\.py::test_\w+`", case)


@pytest.mark.parametrize("words", PROMISED)
def test_no_case_is_dropped(words: str) -> None:
    assert any(words in case for case in CASES)
