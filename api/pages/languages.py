"""The languages of the product and their catalogues."""

import re
from collections.abc import Iterable
from functools import cache, partial
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from coop.errors import Sentence

LOCALES = ("en", "pl", "fr")
_UNBROKEN = {
    # A word of one letter does not end a line.
    "pl": re.compile(r"(?<=\b[aiouwzAIOUWZ]) (?=\S)"),
    # The signs before which a space stands do not begin one.
    "fr": re.compile(r"(?<=\S) (?=[:;?!»]|%(?!\())|(?<=«) "),
}
"""The spaces at which a line is not broken; translators type them as any other."""
_CATALOGUES = Path(__file__).parent / "locale"


@cache
def translations(locale: str) -> NullTranslations:
    """Return the catalogue of `locale`; English is what the code says.

    The catalogues are compiled in memory at first use, so that no binary lies in the repository to go stale.
    """
    source = _CATALOGUES / locale / "LC_MESSAGES" / "coop.po"
    if not source.exists():
        return NullTranslations()
    compiled = BytesIO()
    with source.open("rb") as text:
        catalogue = read_po(text, locale=locale)
    keep = partial(_UNBROKEN[locale].sub, "\N{NO-BREAK SPACE}")
    for message in catalogue:
        said = message.string or ""
        message.string = keep(said) if isinstance(said, str) else tuple(map(keep, said))
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain="coop")


def spoken(tags: Iterable[str]) -> str | None:
    """Return the first of our languages among the tags that a network prefers (`ui_locales`), if there is one."""
    return next((tag[:2].lower() for tag in tags if tag[:2].lower() in LOCALES), None)


def translated(text: str, catalogue: NullTranslations) -> str:
    """Return words that come from elsewhere, such as the message of a refusal, in the catalogue's language."""
    if isinstance(text, Sentence):
        return catalogue.gettext(text.template) % text.values
    return catalogue.gettext(text) if text else text


def marked(message: str) -> str:
    """Return `message` as it is; the name tells Babel that a template will translate it."""
    return message
