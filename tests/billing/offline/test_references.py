from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coop.billing.offline import references


def test_the_example_of_the_standard_is_valid() -> None:
    assert references.valid("RF18539007547034")
    assert not references.valid("RF18539007547043")


def test_a_reference_is_printed_in_groups_and_found_again_within_words() -> None:
    reference = references.make()
    written = f"dues for Ada: {references.spaced(reference).lower()}, thank you 2026"

    assert len(reference) == 14
    assert references.found_in(written) == [reference]


@given(at=st.integers(0, 13), other=st.sampled_from("0123456789"))
def test_a_single_wrong_digit_names_nobody(at: int, other: str) -> None:
    reference = references.make()
    wrong = reference[:at] + other + reference[at + 1 :]

    assert wrong == reference or references.found_in(wrong) == []


def test_swapped_neighbours_name_nobody() -> None:
    reference = references.make()
    for at, (one, other) in enumerate(pairwise(reference)):
        if one != other:
            swapped = reference[:at] + other + one + reference[at + 2 :]
            assert references.found_in(swapped) == []


def test_two_references_are_both_found() -> None:
    one, other = references.make(), references.make()

    assert references.found_in(f"{one} and {other} and {one}") == [one, other]
