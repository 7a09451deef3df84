from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coop.governance.tally import Result, Rule, count
from coop.policies import Majority

HALF = Majority(numerator=1, denominator=2, strict=True)
SIXTY = Majority(numerator=3, denominator=5)
TWO_THIRDS = Majority(numerator=2, denominator=3)
THREE_QUARTERS = Majority(numerator=3, denominator=4)

rules = st.builds(
    Rule,
    majority=st.sampled_from([HALF, SIXTY, TWO_THIRDS, THREE_QUARTERS]),
    quorum_root=st.sampled_from([0, 100, 150, 300]),
    quorum_share=st.sampled_from([0, 200, 500, 10_000]),
)


@st.composite
def votes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Draw votes for, against and abstentions with room for one more on the roll."""
    roll = draw(st.integers(1, 5000) | st.integers(1, 12))
    yes = draw(st.integers(0, roll - 1))
    no = draw(st.integers(0, roll - 1 - yes))
    abstain = draw(st.integers(0, roll - 1 - yes - no))
    return yes, no, abstain, roll


def outcome(yes: int, no: int, abstain: int, roll: int, rule: Rule) -> Result:
    return count(votes_for=yes, votes_against=no, abstained=abstain, roll=roll, rule=rule)


@given(votes(), rules)
def test_one_more_no_never_carries_a_motion(cast: tuple[int, int, int, int], rule: Rule) -> None:
    yes, no, abstain, roll = cast
    before = outcome(yes, no, abstain, roll, rule)
    after = outcome(yes, no + 1, abstain, roll, rule)
    assert before.carried or not after.carried


@given(votes(), rules)
def test_one_more_yes_never_loses_a_motion(cast: tuple[int, int, int, int], rule: Rule) -> None:
    yes, no, abstain, roll = cast
    before = outcome(yes, no, abstain, roll, rule)
    after = outcome(yes + 1, no, abstain, roll, rule)
    assert after.carried or not before.carried


@given(votes(), rules)
def test_abstaining_changes_nothing(cast: tuple[int, int, int, int], rule: Rule) -> None:
    yes, no, abstain, roll = cast
    assert outcome(yes, no, abstain, roll, rule).verdict == outcome(yes, no, abstain + 1, roll, rule).verdict


@given(
    st.integers(0, 10**7),
    st.integers(0, 10**7),
    st.sampled_from([0, 100, 150, 333]),
    st.sampled_from([0, 200, 500]),
)
def test_the_quorum_is_the_formula_to_the_last_vote(roll: int, votes_for: int, root: int, share: int) -> None:
    rule = Rule(majority=HALF, quorum_root=root, quorum_share=share)
    # The paper's formula, over fractions and squares: f ≥ min(⌈N/2⌉, max(r·√N, s·N)).
    over_half = votes_for >= -(-roll // 2)
    over_root = Fraction(votes_for) ** 2 >= Fraction(root, 100) ** 2 * roll
    over_share = votes_for >= Fraction(share, 10_000) * roll
    assert (votes_for >= rule.quorum(roll)) == (over_half or (over_root and over_share))


@pytest.mark.parametrize(
    ("roll", "quorum"), [(0, 0), (1, 1), (2, 1), (4, 2), (9, 5), (10, 5), (60, 12), (10_000, 200)]
)
def test_the_default_quorum_in_figures(roll: int, quorum: int) -> None:
    assert Rule(majority=HALF, quorum_root=150, quorum_share=200).quorum(roll) == quorum


@pytest.mark.parametrize(
    ("majority", "yes", "no", "carried"),
    [
        (HALF, 10, 10, False),
        (HALF, 11, 10, True),
        (SIXTY, 12, 8, True),
        (SIXTY, 11, 8, False),
        (TWO_THIRDS, 20, 10, True),
        (TWO_THIRDS, 19, 10, False),
        (THREE_QUARTERS, 15, 5, True),
        (THREE_QUARTERS, 14, 5, False),
    ],
)
def test_each_class_is_decided_at_its_threshold(
    majority: Majority, yes: int, no: int, *, carried: bool
) -> None:
    rule = Rule(majority=majority, quorum_root=0, quorum_share=0)
    assert outcome(yes, no, 0, 50, rule).carried is carried


def test_a_count_says_why_in_plain_words() -> None:
    rule = Rule(majority=SIXTY, quorum_root=150, quorum_share=200)
    assert outcome(0, 3, 1, 60, rule).why == "Lost: nobody voted for it."
    assert outcome(11, 0, 0, 60, rule).why == "Lost: 11 voted for it; at least 12 of a roll of 60 had to."
    assert "at least 3/5 was asked" in outcome(12, 20, 0, 60, rule).why
    assert outcome(30, 20, 2, 60, rule).why.startswith("Carried: 30 of 50 votes")


def test_more_votes_than_members_is_a_fault() -> None:
    with pytest.raises(ValueError, match="as many votes as the roll"):
        outcome(3, 2, 1, 5, Rule(majority=HALF, quorum_root=0, quorum_share=0))
