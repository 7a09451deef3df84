import httpx
import pytest


@pytest.fixture
def engine_name() -> str:
    """Answer from SQLite alone: no query is made here."""
    return "sqlite"


async def test_what_we_hold_says_who_could_find_out_who_paid(client: httpx.AsyncClient) -> None:
    answer = await client.get("/privacy")

    assert "Stripe knows whose card was charged" in answer.text.replace("&#39;", "'")


async def test_the_accessibility_page_says_where_to_complain(client: httpx.AsyncClient) -> None:
    answer = await client.get("/accessibility")

    assert "membership@localhost" in answer.text
