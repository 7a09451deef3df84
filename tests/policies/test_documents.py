import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coop.policies import BadPolicy, Document, Dues, Majority, Shares, Voting, documents
from coop.policies.founding import documents as founding_documents


def founding(kind: type[Document]) -> Document:
    return next(document for document in founding_documents() if isinstance(document, kind))


@pytest.mark.parametrize("document", founding_documents(), ids=lambda document: document.kind())
def test_a_founding_document_is_within_its_own_bounds_and_reads_back(document: Document) -> None:
    documents.check(document)

    assert documents.read(documents.canonical(document)) == document


@pytest.mark.parametrize(
    "field",
    [
        {"price": -1},
        {"price": 99},
        {"price": 100_001},
        {"price": 25.0},
        {"price": True},
        {"price": "2500"},
        {"price": 10**30},
        {"suggested": []},
        {"suggested": [2500, 500]},
        {"suggested": [500, 500]},
        {"minimum_card": 2600},
        {"grace_days": 181},
        {"notice_days": [7, 30]},
        {"withdrawal_days": 13},
        {"colour": "green"},
        {"instalments": 1},
        {"instalments": 5},
        {"instalments": 13},
        {"instalments": True},
    ],
)
def test_dues_out_of_bounds_are_refused(field: dict[str, object]) -> None:
    raw = msgspec.to_builtins(founding(Dues)) | {"kind": "dues"} | field

    with pytest.raises(BadPolicy):
        documents.read(msgspec.json.encode(raw))


def test_dues_from_before_a_rule_keep_their_spelling_and_show_it_all_the_same() -> None:
    before = {
        "kind": "dues",
        "price": 2500,
        "suggested": [2500],
        "minimum_card": 200,
        "grace_days": 60,
        "notice_days": [30],
        "withdrawal_days": 14,
    }

    read = documents.read(msgspec.json.encode(before))

    assert documents.canonical(read) == msgspec.json.encode(before, order="sorted")
    assert documents.values(read)["instalments"] == 0


@given(
    st.integers(min_value=1, max_value=100_000),
    st.sampled_from([2, 3, 4, 6, 12]),
    st.integers(min_value=50, max_value=10_000),
)
def test_an_instalment_is_never_below_its_part_or_the_least_card_payment(
    amount: int, count: int, least: int
) -> None:
    dues = Dues(
        price=100_000,
        suggested=(100,),
        minimum_card=least,
        grace_days=0,
        notice_days=(30,),
        withdrawal_days=14,
        instalments=count,  # type: ignore[arg-type]  # drawn from what the law allows
    )

    each = dues.instalment(amount)

    assert each == 0 or (each >= least and 0 <= each * count - amount < count)


def test_shares_must_add_up_to_everything() -> None:
    with pytest.raises(BadPolicy):
        msgspec.structs.replace(founding(Shares), networks=6001)


@pytest.mark.parametrize(
    ("numerator", "denominator", "strict"), [(1, 2, False), (1, 3, True), (4, 3, False), (1, 1, True)]
)
def test_a_majority_that_is_none_is_refused(numerator: int, denominator: int, strict: bool) -> None:  # noqa: FBT001 - a table's column
    with pytest.raises(BadPolicy):
        Majority(numerator=numerator, denominator=denominator, strict=strict)


def test_a_text_with_a_nul_is_refused() -> None:
    raw = {"kind": "terms", "text": "x" * 300 + "\x00", "notice_days": 30}

    with pytest.raises(BadPolicy):
        documents.read(msgspec.json.encode(raw))


@given(st.integers(min_value=1, max_value=100_000), st.integers(min_value=0, max_value=10_000))
def test_the_fee_is_never_rounded_down(price: int, rate: int) -> None:
    shares = msgspec.structs.replace(founding(Shares), card_fee=rate, card_fee_fixed=30)

    assert (shares.fee(price) - 30) * 10_000 >= price * rate > (shares.fee(price) - 31) * 10_000


def test_the_founding_majorities_are_those_of_the_constitution() -> None:
    voting = founding(Voting)

    assert isinstance(voting, Voting)
    assert voting.ordinary == Majority(numerator=1, denominator=2, strict=True)
    assert voting.charter == Majority(numerator=3, denominator=4)
