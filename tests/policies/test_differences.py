import msgspec

from coop.policies import Terms
from coop.policies.differences import Line, between, lines_of
from coop.policies.founding import documents

DUES = documents()[0]


def terms(*lines: str) -> Terms:
    return Terms(text="\n".join(lines), notice_days=30)


def test_one_changed_value_is_one_line_out_and_one_in() -> None:
    changed = [
        line for line in between(DUES, msgspec.structs.replace(DUES, price=2700)) if line.mark != "same"
    ]

    assert changed == [Line("removed", "price = 2500"), Line("added", "price = 2700"), Line("gap")]


def test_equal_documents_do_not_differ() -> None:
    assert between(DUES, DUES) == []


def test_a_first_version_is_all_new() -> None:
    assert {line.mark for line in between(None, DUES)} == {"added"}


def test_unchanged_lines_far_away_are_left_out() -> None:
    old = terms(*(f"line {number}" for number in range(20)))
    new = terms(*(f"line {number}" if number != 10 else "line ten" for number in range(20)))

    assert [(line.mark, line.text) for line in between(old, new)] == [
        ("gap", ""),
        ("same", "line 8"),
        ("same", "line 9"),
        ("removed", "line 10"),
        ("added", "line ten"),
        ("same", "line 11"),
        ("same", "line 12"),
        ("gap", ""),
    ]


def test_the_new_document_can_be_read_off_its_comparison() -> None:
    old = terms("a", "b", "c", "d")
    new = terms("b", "x", "d", "e")

    kept = [line.text for line in between(old, new) if line.mark in {"same", "added"}]

    assert kept == lines_of(new)
