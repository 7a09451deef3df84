import hashlib
from datetime import timedelta
from uuid import uuid4

import httpx
import msgspec
import pytest

from coop import policies
from coop.policies import KINDS, Covenant, Dues
from coop.unit_of_work import Units
from tests.cooperative import found

PAGE = {"Accept": "text/html"}


async def raise_price(units: Units, *, days: int = 0) -> policies.Version[Dues]:
    async with units.open() as work:
        dues = await policies.in_force(work, Dues)
        return await policies.adopt(
            work,
            msgspec.structs.replace(dues.document, price=2700),
            act=f"motion:{uuid4()}",
            effective_at=work.now + timedelta(days=days),
            replaces=dues.hash,
        )


async def test_the_law_book_lists_every_kind(units: Units, client: httpx.AsyncClient) -> None:
    await found(units)

    answer = await client.get("/law", headers=PAGE)

    assert answer.status_code == 200
    assert all(f'href="/law/{kind}"' in answer.text for kind in KINDS)
    assert "A year costs $25, whoever pays it." in answer.text


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("language", ["en", "pl", "fr"])
async def test_every_kind_has_its_page_in_every_language(
    units: Units, client: httpx.AsyncClient, kind: str, language: str
) -> None:
    await found(units)

    answer = await client.get(f"/law/{kind}", headers=PAGE | {"Accept-Language": language})

    assert answer.status_code == 200
    assert answer.headers["content-language"] == language


async def test_a_text_is_shown_as_prose_below_one_title(units: Units, client: httpx.AsyncClient) -> None:
    await found(units)

    answer = await client.get("/law/covenant", headers=PAGE)

    assert "<h2>1. No advertising</h2>" in answer.text
    assert answer.text.count("<h1>") == 1


async def test_a_hostile_text_cannot_speak_html(units: Units, client: httpx.AsyncClient) -> None:
    await found(units)
    async with units.open() as work:
        covenant = await policies.in_force(work, Covenant)
        text = "<script>alert(1)</script> [x](javascript:alert(1)) " + "a" * 200
        await policies.adopt(
            work,
            msgspec.structs.replace(covenant.document, text=text),
            act=f"motion:{uuid4()}",
            effective_at=work.now,
            replaces=covenant.hash,
        )

    answer = await client.get("/law/covenant", headers=PAGE)

    assert "<script>" not in answer.text
    assert 'href="javascript' not in answer.text


async def test_a_version_shows_what_it_changed_and_links_the_vote_behind_it(
    units: Units, client: httpx.AsyncClient
) -> None:
    await found(units)
    version = await raise_price(units)

    answer = await client.get("/law/dues", headers=PAGE)

    assert "<del>$25</del>" in answer.text
    assert "<ins>$27</ins>" in answer.text
    assert f'href="/votes/{version.act.removeprefix("motion:")}"' in answer.text


async def test_a_replaced_version_says_so(units: Units, client: httpx.AsyncClient) -> None:
    await found(units)
    await raise_price(units)

    answer = await client.get("/law/dues/1", headers=PAGE)

    assert "This is not the law any more" in answer.text
    assert "A year costs $25" in answer.text


async def test_a_decided_version_is_announced_before_it_is_law(
    units: Units, client: httpx.AsyncClient
) -> None:
    await found(units)
    await raise_price(units, days=7)

    book = await client.get("/law", headers=PAGE)
    page = await client.get("/law/dues", headers=PAGE)
    ahead = await client.get("/law/dues/2", headers=PAGE)

    assert "Decided, and not in force yet" in book.text
    assert "A year costs $25" in page.text
    assert "This is decided, and not in force yet" in ahead.text


async def test_the_file_of_a_version_has_the_fingerprint_that_names_it(
    units: Units, client: httpx.AsyncClient
) -> None:
    await found(units)
    second = await raise_price(units)

    answer = await client.get("/law/dues/2/document.json")

    assert hashlib.sha256(answer.content).hexdigest() == second.hash
    assert answer.json()["replaces"] == second.replaces


@pytest.mark.parametrize(
    "path",
    [
        "/law/colour",
        "/law/dues/0",
        "/law/dues/2",
        "/law/dues/99999999999999999999999",
        "/law/dues/x",
        "/law/%00",
        "/law/dues/-1/document.json",
    ],
)
async def test_law_that_does_not_exist_is_not_found(
    units: Units, client: httpx.AsyncClient, path: str
) -> None:
    await found(units)

    answer = await client.get(path, headers=PAGE)

    assert answer.status_code == 404
