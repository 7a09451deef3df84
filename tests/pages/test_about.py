import httpx
import pytest

from api.pages.holdings import HOLDINGS, NOTHING_OF_A_PERSON
from coop import schema


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


def test_every_table_is_told_of_or_holds_nothing_about_a_person() -> None:
    told = {table for holding in HOLDINGS for table in holding.tables} | NOTHING_OF_A_PERSON

    assert set(schema.metadata.tables) == told
