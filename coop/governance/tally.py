"""The count of a yes/no vote: a pure function over whole numbers, with its conventions in the open.

The quorum is an approval quorum (governance.md): it asks how many voted *for*, never how many turned out. So nobody
gains by staying at home: one more No never carries a motion and one more Yes never loses it. Abstaining says that one
was here; it counts neither way.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Literal

from coop.policies import Majority, Voting

Class = Literal["ordinary", "economic", "constitutional", "charter"]
Verdict = Literal["carried", "nobody_voted_for", "too_few_for", "majority_missed"]

CLASS_OF_KIND: dict[str, Class] = {
    "dues": "economic",
    "pool": "economic",
    "shares": "economic",
    "voting": "constitutional",
    "terms": "constitutional",
    "covenant": "constitutional",
    "privacy": "constitutional",
    "admission": "constitutional",
}
"""The class to which a change of each kind of law belongs."""

_WHOLE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a motion must reach: a majority of the votes for and against, and votes for in the light of the roll."""

    majority: Majority
    quorum_root: int
    """Hundredths of the square root of the roll."""
    quorum_share: int
    """Basis points of the roll."""

    def quorum(self, roll: int) -> int:
        """Return how many votes for are needed: min(⌈N/2⌉, max(root · √N, share · N)), exactly, rounded up."""
        half = -(-roll // 2)
        # f ≥ r/100 · √N  ⇔  f² ≥ ⌈r²N / 10⁴⌉, without a square root of floats.
        square = -(-self.quorum_root * self.quorum_root * roll // _WHOLE)
        root = isqrt(square - 1) + 1 if square else 0
        share = -(-self.quorum_share * roll // _WHOLE)
        return min(half, max(root, share))

    def majority_reached(self, votes_for: int, votes_against: int) -> bool:
        """Tell whether the votes for are the part that is asked for; none is no majority."""
        have = votes_for * self.majority.denominator
        asked = self.majority.numerator * (votes_for + votes_against)
        return votes_for > 0 and (have > asked if self.majority.strict else have >= asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the count found, and why the motion was carried or lost."""

    votes_for: int
    votes_against: int
    abstained: int
    roll: int
    quorum: int
    majority: Majority
    verdict: Verdict

    @property
    def carried(self) -> bool:
        """Whether the motion was carried."""
        return self.verdict == "carried"

    @property
    def turnout(self) -> int:
        """How many voted, whichever way."""
        return self.votes_for + self.votes_against + self.abstained

    @property
    def why(self) -> str:
        """Say in plain words why it was carried or lost."""
        asked = "more than" if self.majority.strict else "at least"
        part = f"{self.majority.numerator}/{self.majority.denominator}"
        decided = self.votes_for + self.votes_against
        match self.verdict:
            case "carried":
                return (
                    f"Carried: {self.votes_for} of {decided} votes for and against were for ({asked} {part} was asked), "
                    f"and at least {self.quorum} votes for were needed from a roll of {self.roll}."
                )
            case "nobody_voted_for":
                return "Lost: nobody voted for it."
            case "too_few_for":
                return f"Lost: {self.votes_for} voted for it; at least {self.quorum} of a roll of {self.roll} had to."
            case "majority_missed":
                return f"Lost: {self.votes_for} of {decided} votes for and against were for; {asked} {part} was asked."


def write_majority(majority: Majority) -> str:
    """Spell a majority in one word: `>1/2`, `>=3/5`."""
    return f"{'>' if majority.strict else '>='}{majority.numerator}/{majority.denominator}"


def read_majority(text: str) -> Majority:
    """Read what `write_majority` wrote."""
    numerator, _, denominator = text.lstrip(">=").partition("/")
    return Majority(numerator=int(numerator), denominator=int(denominator), strict=">=" not in text)


def rule_of(voting: Voting, motion_class: Class) -> Rule:
    """Return the rule that the voting policy sets for a class of motions."""
    majority = {
        "ordinary": voting.ordinary,
        "economic": voting.economic,
        "constitutional": voting.constitutional,
        "charter": voting.charter,
    }[motion_class]
    share = voting.charter_quorum_share if motion_class == "charter" else voting.quorum_share
    return Rule(majority=majority, quorum_root=voting.quorum_root, quorum_share=share)


def count(*, votes_for: int, votes_against: int, abstained: int, roll: int, rule: Rule) -> Result:
    """Count a vote of a `roll` of so many members; more votes than members is a fault, not a result."""
    if min(votes_for, votes_against, abstained) < 0 or votes_for + votes_against + abstained > roll:
        msg = "a count has between none and as many votes as the roll has members"
        raise ValueError(msg)
    quorum = rule.quorum(roll)
    verdict: Verdict = "carried"
    if not votes_for:
        verdict = "nobody_voted_for"
    elif votes_for < quorum:
        verdict = "too_few_for"
    elif not rule.majority_reached(votes_for, votes_against):
        verdict = "majority_missed"
    return Result(
        votes_for=votes_for,
        votes_against=votes_against,
        abstained=abstained,
        roll=roll,
        quorum=quorum,
        majority=rule.majority,
        verdict=verdict,
    )
