import httpx
import pytest

from api.pages.languages import translated, translations
from api.pages.rendering import browser
from coop.errors import Sentence


@pytest.fixture
def engine_name() -> str:
    """Answer from SQLite alone: no query is made here."""
    return "sqlite"


async def test_the_chosen_language_is_remembered_and_the_visitor_returns(client: httpx.AsyncClient) -> None:
    answer = await client.post("/language", data={"locale": "pl", "next": "/styleguide"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/styleguide")
    page = await client.get("/styleguide", headers={"Accept": "text/html"})
    assert page.headers["content-language"] == "pl"
    assert '<html lang="pl">' in page.text


async def test_a_language_we_do_not_speak_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/language", data={"locale": "xx"})

    assert answer.status_code == 400


async def test_the_switch_leads_nobody_away(client: httpx.AsyncClient) -> None:
    answer = await client.post("/language", data={"locale": "fr", "next": "//evil.example"})

    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    ("locale", "english", "said"),
    [
        ("fr", "Written by %(network)s itself:", "De la part de %(network)s\N{NO-BREAK SPACE}:"),
        ("fr", "What %(network)s will know", "Ce que saura %(network)s"),
        ("pl", "Your name on %(network)s", "Twoja nazwa w\N{NO-BREAK SPACE}%(network)s"),
        ("pl", "What %(network)s will know", "Co będzie wiedzieć %(network)s"),
    ],
)
def test_lines_do_not_break_where_a_language_forbids_it(locale: str, english: str, said: str) -> None:
    assert translations(locale).gettext(english) == said


def test_a_sentence_with_values_is_said_in_the_readers_language() -> None:
    said = Sentence("To pay more than %(amount)s, sign in first.", amount="100 %(x)s")

    assert said == "To pay more than 100 %(x)s, sign in first."
    assert (
        translated(said, translations("fr"))
        == "Pour payer plus de 100 %(x)s, connectez-vous d\N{RIGHT SINGLE QUOTATION MARK}abord."
    )
    assert translated(said, translations("en")) == said


async def test_the_browsers_preference_is_honoured(client: httpx.AsyncClient) -> None:
    answer = await client.get("/styleguide", headers={"Accept-Language": "de, fr;q=0.8, en;q=0.5"})

    assert answer.headers["content-language"] == "fr"


async def test_a_person_gets_a_page_for_what_is_not_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere", headers={"Accept": "text/html"})

    assert answer.status_code == 404
    assert "not_found" in answer.text


async def test_no_page_carries_inline_script_or_style(client: httpx.AsyncClient) -> None:
    text = (await client.get("/styleguide")).text

    assert "<script>" not in text
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick=" not in text


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0",
            "Edge, Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1",
            "Safari, iPhone",
        ),
        ("curl/8.1", "curl/8.1"),
    ],
)
def test_a_browser_is_named_in_a_few_words(user_agent: str, name: str) -> None:
    assert browser(user_agent) == name
