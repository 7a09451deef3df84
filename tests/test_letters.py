"""Every letter is written in the language of whoever gets it: all kinds, in all languages, with nothing English left over."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter
from types import ModuleType

import msgspec
import pytest
from sqlalchemy import select

import coop
from coop.billing import declines, letters, receipt_letters
from coop.billing.importing import letters as importing
from coop.billing.payments import Payment
from coop.billing.receipt_letters import Said
from coop.governance import letters as governance
from coop.identity import letters as identity
from coop.identity.accounts import Account
from coop.leaving import letters as leaving
from coop.mail import Letter
from coop.membership import notices
from coop.money import Money
from coop.outbox import OutboxMessage
from coop.settings import Settings
from coop.sponsorship import letters as sponsorship
from coop.unit_of_work import Units, new_id
from tests.people import register

LANGUAGES = ("en", "pl", "fr")
MODULES = (letters, receipt_letters, governance, identity, leaving, notices, sponsorship, declines)
# Words that no Polish or French sentence has.
ENGLISH = re.compile(
    r"\b(the|your|you|we|this|that|with|will|was|been|from|for|of|at|not|nothing|card|year|pool|membership|received|receipt)\b",
    re.IGNORECASE,
)


def texts(words: object) -> dict[str, str]:
    """Return the sentences of a letter in one language, by their names."""
    if isinstance(words, str):
        return {"": words}
    assert is_dataclass(words)
    return {one.name: getattr(words, one.name) for one in fields(words)}


def spoken(value: object) -> Iterator[Mapping[str, object]]:
    """Find what has a text for each language, however deep."""
    if isinstance(value, Said):
        yield value.words
    elif isinstance(value, Mapping) and value.keys() & set(LANGUAGES):
        yield value
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from spoken(below)


def kinds() -> Iterator[tuple[str, Mapping[str, object]]]:
    for module in MODULES:
        for name, value in vars(module).items():
            if not name.startswith("__") and not isinstance(value, ModuleType):
                for words in spoken(value):
                    yield f"{module.__name__}.{name}", words
    for built in (
        receipt_letters.runs_until(date(2026, 3, 1)),
        receipt_letters.years(2),
        receipt_letters.instalment(1, 12),
        receipt_letters.hand_over("", date(2026, 3, 1)),
    ):
        yield "coop.billing.receipt_letters", built.words


def named(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field}


def test_all_kinds_of_letters_are_looked_at() -> None:
    modules = {name.rpartition(".")[0] for name, _ in kinds()}

    assert {module.__name__ for module in MODULES} <= modules | {"coop.billing.receipt_letters"}
    assert len(list(kinds())) > 45


@pytest.mark.parametrize(("name", "words"), list(kinds()))
def test_each_letter_says_the_same_in_every_language(name: str, words: Mapping[str, object]) -> None:
    assert set(words) == set(LANGUAGES), name
    english = texts(words["en"])
    for language in ("pl", "fr"):
        said = texts(words[language])
        assert said.keys() == english.keys()
        for part, text in said.items():
            assert bool(text) == bool(english[part])
            assert named(text) == named(english[part]), (name, language, part)
            left = ENGLISH.findall(Formatter().vformat(text, (), _Nothing()))
            assert not left, (name, language, left)


class _Nothing(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def test_no_letter_is_written_in_one_language_where_it_is_sent() -> None:
    root = Path(coop.__file__).parent
    written = []
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Letter":
                for given in node.keywords:
                    literal = [part for part in ast.walk(given.value) if isinstance(part, ast.Constant)]
                    # Paths are no words.
                    if any(re.search(r"^[^/]*[a-z]{3}", str(part.value)) for part in literal):
                        written.append(f"{path.relative_to(root)}:{node.lineno} {given.arg}")

    assert written == []


@pytest.mark.parametrize("locale", LANGUAGES)
async def test_letters_of_billing_are_filled_in_and_leave_in_the_reader_s_language(
    units: Units, locale: str
) -> None:
    account = await register(units, "ada", email="ada@example.org")
    every = {
        name: value
        for name, value in vars(letters).items()
        if name.isupper() and isinstance(value, dict) and "en" in value
    }
    when = datetime(2026, 7, 14, 12, tzinfo=UTC)
    async with units.open() as work:
        (await work.session.get_one(Account, account.id)).locale = locale
        for name, words in every.items():
            await letters.post(
                work,
                account.id,
                words,
                key=name,
                amount=Money(2550),
                grace=when,
                day=when,
                declined="expired_card",
                nth=2,
                count=12,
                people=["bob"],
            )
    async with units.read() as work:
        waiting = await work.session.scalars(
            select(OutboxMessage.payload).where(OutboxMessage.dedupe_key.in_(every))
        )
        sent = [msgspec.json.decode(one, type=Letter) for one in waiting]
    assert len(sent) == len(every)
    for letter in sent:
        assert not re.search(r"[{}]", letter.subject + letter.body)
        if locale != "en":
            assert not re.search(r"July|\$25\.50", letter.body)


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", ["Receipt from", "received $40.00 from you", "Dues: $25.00", "July 14, 2026", "runs until"]),
        ("pl", ["Potwierdzenie wpłaty", "40,00 USD", "Składka: 25,00 USD", "14 lipca 2026", "trwa do"]),
        ("fr", ["Reçu de", "40,00 $US", "Cotisation : 25,00 $US", "14 juillet 2026", "court jusqu'au"]),
        # A language that we do not speak is answered in the cooperative's.
        ("de", ["Potwierdzenie wpłaty"]),
    ],
)
def test_receipts_are_in_the_payer_s_language(locale: str, words: list[str]) -> None:
    settings = Settings(demo=True, locale="pl")
    payment = Payment(
        account_id=new_id(),
        gateway_id="pi",
        purpose="dues",
        amount=Money(4000),
        price=Money(2500),
        policy_version=new_id(),
        received_at=datetime(2026, 7, 14, 12, tzinfo=UTC),
    )

    letter, _ = receipt_letters.written(
        settings,
        payment,
        "ada@example.org",
        locale,
        receipt_letters.A_YEAR,
        by="Bakers United",
        more=receipt_letters.runs_until(date(2027, 7, 13)),
    )

    said = re.sub(r"[\u00a0\u202f]", " ", letter.subject + letter.body)
    for word in [*words, "Bakers United"]:
        assert word in said
    if locale != "en":
        assert not ENGLISH.findall(letter.body.replace("http://127.0.0.1:8000/account/payments", ""))


def test_an_invitation_speaks_all_three_languages_since_its_reader_s_is_not_known() -> None:
    letter = importing.invitation(Settings(demo=True), "ada@example.org")

    for words in ("Your membership", "Twoje członkostwo", "Votre adhésion"):
        assert words in letter.subject
    assert letter.body.count("/join") == len(LANGUAGES)
