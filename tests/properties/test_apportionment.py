from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from coop.money import Money, apportion

weights = st.dictionaries(
    st.text(alphabet="abcdefgh", min_size=1, max_size=4), st.integers(0, 10_000), min_size=1, max_size=12
).filter(lambda split: sum(split.values()) > 0)
amounts = st.integers(0, 10**12)


@given(amounts, weights, st.text(max_size=8))
def test_every_part_is_within_a_cent_of_its_exact_share(
    amount: int, split: dict[str, int], salt: str
) -> None:
    parts = apportion(Money(amount), split, salt=salt)

    for key, weight in split.items():
        exact = Fraction(amount * weight, sum(split.values()))
        assert abs(parts[key].minor - exact) < 1


@given(amounts, weights)
def test_who_has_no_weight_gets_nothing(amount: int, split: dict[str, int]) -> None:
    parts = apportion(Money(amount), split | {"nobody": 0})

    assert parts["nobody"].minor == 0


@given(st.integers(100, 100_000), st.integers(0, 10_000), st.integers(1, 12))
def test_twelve_months_of_dues_are_a_year_of_dues(price: int, networks: int, months: int) -> None:
    """The month's part is floor(p * k / 12) minus the earlier ones (billing.md): nothing is lost over a year."""
    parts = [price * k // 12 - price * (k - 1) // 12 for k in range(1, 13)]
    split = {"networks": networks, "others": 10_000 - networks}

    shares = [apportion(Money(part), split, salt=str(k)) for k, part in enumerate(parts)]

    assert sum(parts) == price
    assert sum(parts[:months]) == price * months // 12
    assert sum(share["networks"].minor + share["others"].minor for share in shares) == price


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_term_is_funded_exactly_whatever_was_paid(price: int, paid: int) -> None:
    gap, surplus = max(0, price - paid), max(0, paid - price)

    assert paid + gap - surplus == price
    assert gap == 0 or surplus == 0
