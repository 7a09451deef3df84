import string

import pytest

from coop.identity import letters
from coop.identity.accounts import Account
from coop.identity.letters import Words
from coop.settings import Settings
from tests.conftest import START

ALL = [letters.CONFIRM, letters.MOVED, letters.WAY_BACK, letters.PASSWORD_CHANGED]


@pytest.mark.parametrize("words", ALL)
def test_every_letter_says_the_same_in_every_language(words: dict[str, Words]) -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert set(words) == {"en", "pl", "fr"}
    assert len({(frozenset(fields(w.subject)), frozenset(fields(w.body))) for w in words.values()}) == 1


def test_a_letter_is_in_its_readers_language_and_leads_to_the_issuer() -> None:
    settings = Settings(issuer="https://members.example", name="Commons")
    account = Account(handle="ada", created_at=START, locale="pl")

    letter = letters.written(
        letters.CONFIRM, settings, account, to="ada@example.org", link="/verify-email?token=x"
    )

    assert letter.subject == "Potwierdź swój adres e-mail w Commons"
    assert "https://members.example/verify-email?token=x" in letter.body
