from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coop.money import MOST_MINOR, BadAmount, Currency, Money, apportion

DOLLARS = Currency.of("usd")
YEN = Currency.of("JPY")


@pytest.mark.parametrize(
    ("text", "minor"), [("25", 2500), ("12.5", 1250), ("12,50", 1250), (" 0.01 ", 1), ("0", 0)]
)
def test_people_write_amounts_in_these_ways(text: str, minor: int) -> None:
    assert DOLLARS.parse(text) == Money(minor)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-5",
        "+5",
        "1e3",
        "NaN",
        "inf",
        "1.234",
        "1 000",
        "1,000.00",
        "0x10",
        "\uff12\uff15",
        "\u0663",
        "25\x00",
        "9" * 16,
        "1.",
        "1_0",
    ],
)
def test_other_writings_are_refused(text: str) -> None:
    with pytest.raises(BadAmount):
        DOLLARS.parse(text)


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_money_takes_whole_numbers_only(value: object) -> None:
    with pytest.raises(TypeError):
        Money(value)  # type: ignore[arg-type]  # the point of the test


def test_money_is_bounded() -> None:
    with pytest.raises(BadAmount):
        Money(MOST_MINOR + 1)


def test_a_currency_without_decimals_has_none() -> None:
    assert YEN.parse("2500") == Money(2500)
    assert YEN.plain(Money(2500)) == "2500"
    with pytest.raises(BadAmount):
        YEN.parse("25.00")


@given(st.integers(-MOST_MINOR, MOST_MINOR))
def test_writing_and_reading_agree(minor: int) -> None:
    written = DOLLARS.plain(Money(minor))

    assert DOLLARS.parse(written.lstrip("-")) == Money(abs(minor))


@given(
    st.integers(0, 10**9),
    st.dictionaries(st.text(max_size=5), st.integers(0, 10**6), min_size=1),
    st.randoms(),
)
def test_apportioning_is_exact_and_independent_of_order(
    minor: int, weights: dict[str, int], random: Random
) -> None:
    if not any(weights.values()):
        weights[next(iter(weights))] = 1
    shuffled = list(weights.items())
    random.shuffle(shuffled)

    parts = apportion(Money(minor), weights, salt="s")

    assert sum(part.minor for part in parts.values()) == minor
    assert parts == apportion(Money(minor), dict(shuffled), salt="s")
    for key, weight in weights.items():
        exact = minor * weight / sum(weights.values())
        assert abs(parts[key].minor - exact) < 1


def test_ten_dollars_among_three() -> None:
    parts = apportion(Money(1000), {"a": 1, "b": 1, "c": 1}, salt="2026-03")

    assert sorted(part.minor for part in parts.values()) == [333, 333, 334]
