"""Nothing that a person reads is left untranslated."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def found() -> Iterator[str | tuple[str, ...]]:
    """Yield every message in templates, pages and refusals."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as configuration:
        methods, options = parse_mapping_cfg(configuration)
    for _, _, message, _, _ in extract_from_dir(ROOT, methods, options):
        yield message


@pytest.fixture(scope="module")
def messages() -> list[str | tuple[str, ...]]:
    return list(found())


def catalogue(locale: str) -> Catalog:
    """Return what translators wrote."""
    path = ROOT / "api" / "pages" / "locale" / locale / "LC_MESSAGES" / "coop.po"
    with path.open("rb") as text:
        return read_po(text, locale=locale)


def forms(message: Message) -> tuple[str, ...]:
    """Return all forms of a translation."""
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


@pytest.mark.parametrize("locale", ["pl", "fr"])
def test_no_message_is_untranslated(locale: str, messages: list[str | tuple[str, ...]]) -> None:
    translated = catalogue(locale)

    missing = []
    for message in messages:
        known = translated.get(message if isinstance(message, str) else message[0])
        if known is None or not all(forms(known)) or isinstance(message, str) != isinstance(known.id, str):
            missing.append(message)

    assert missing == []


@pytest.mark.parametrize("locale", ["pl", "fr"])
def test_translations_name_the_same_values_as_the_original(locale: str) -> None:
    wrong = []
    for message in catalogue(locale):
        if not message.id:
            continue
        ids = (message.id,) if isinstance(message.id, str) else message.id
        named = {name for text in ids for name in PLACEHOLDER.findall(text)}
        # The form for one may leave the number out, as the original does.
        optional = {"%(num)s"} if len(ids) > 1 else set()
        for text in forms(message):
            used = set(PLACEHOLDER.findall(text))
            if used - named or named - used - optional:
                wrong.append(text)

    assert wrong == []


@pytest.mark.parametrize("locale", ["pl", "fr"])
def test_no_translation_is_a_guess(locale: str) -> None:
    assert [message.id for message in catalogue(locale) if message.id and message.fuzzy] == []
