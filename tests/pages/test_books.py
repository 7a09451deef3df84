from datetime import date
from uuid import uuid4

import httpx
import pytest

from coop.ledger import references, sealer
from coop.money import Money
from coop.unit_of_work import Units
from tests.cooperative import found
from tests.ledger.trade import three_months, year
from tests.people import signed_in_client

PAGE = {"Accept": "text/html"}


async def test_the_books_show_the_sums_of_the_ledger_to_the_cent(
    units: Units, client: httpx.AsyncClient
) -> None:
    await three_months(units)

    answer = await client.get("/books", headers=PAGE)

    # 9 x 40 + 8 x 25 + 8 x 10, less 25 fees of 1.03 and three bills of 7.77; 25 years less three months of 10.
    assert answer.status_code == 200
    assert "$590.94" in answer.text
    assert answer.text.count("$590.94") >= 2
    assert "$595.00" in answer.text


@pytest.mark.parametrize("language", ["en", "pl", "fr"])
async def test_empty_books_have_a_page_in_every_language(
    units: Units, client: httpx.AsyncClient, language: str
) -> None:
    await found(units)

    answer = await client.get("/books", headers=PAGE | {"Accept-Language": language})

    assert answer.status_code == 200
    assert answer.headers["content-language"] == language


async def test_a_period_shows_every_ledger_account(units: Units, client: httpx.AsyncClient) -> None:
    await three_months(units)

    book = await client.get("/books", headers=PAGE)
    period = await client.get("/books/2026-02", headers=PAGE)

    assert 'href="/books/2026-02"' in book.text
    assert "February 2026 – March 2026" in period.text  # noqa: RUF001 - a dash between months
    assert "13 years of membership were granted." in period.text


@pytest.mark.parametrize("period", ["2026-03", "1999-01", "x", "%00", "9" * 40])
async def test_a_period_that_is_not_published_is_not_found(
    units: Units, client: httpx.AsyncClient, period: str
) -> None:
    await three_months(units)

    assert (await client.get(f"/books/{period}", headers=PAGE)).status_code == 404


@pytest.mark.parametrize("name", ["books.csv", "books.json", "books.beancount"])
async def test_the_totals_can_be_downloaded(units: Units, client: httpx.AsyncClient, name: str) -> None:
    await three_months(units)

    answer = await client.get(f"/books/{name}")

    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert "Liabilities:DeferredDues" in answer.text


async def test_a_member_sees_their_own_entries_and_nobody_elses(
    units: Units, client: httpx.AsyncClient
) -> None:
    await found(units)
    account = await signed_in_client(client, units)
    async with units.open() as work:
        await year(work, date(2026, 3, 1), paid=Money(3111), person=await references.of(work, account.id))
        await year(work, date(2026, 3, 1), paid=Money(3222), person=uuid4())

    answer = await client.get("/books", headers=PAGE)

    assert "Your own entries" in answer.text
    assert "$31.11" in answer.text
    assert "$32.22" not in answer.text


async def test_a_stranger_sees_no_entries(units: Units, client: httpx.AsyncClient) -> None:
    await three_months(units)

    answer = await client.get("/books", headers=PAGE)

    assert "Your own entries" not in answer.text
    assert "Dues for a year" not in answer.text


async def test_the_head_of_the_chain_is_published(units: Units, client: httpx.AsyncClient) -> None:
    await three_months(units)
    await sealer.seal_due(units)
    async with units.read() as work:
        head = await sealer.head(work)

    answer = await client.get("/books", headers=PAGE)

    assert head is not None
    assert head[1] in answer.text
