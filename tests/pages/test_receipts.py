import html
import io
import re

import msgspec
import pypdf
import pytest
from sqlalchemy import select

from coop.billing.payments import Payment
from coop.membership import organisations
from coop.settings import Settings
from tests.till import Till, sandbox, till

__all__ = ["sandbox", "till"]


@pytest.fixture
def engine_name() -> str:
    """Look at pages on SQLite; numbering is tested on both engines."""
    return "sqlite"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, address="1 Commons Lane, 12345 Town")


@pytest.fixture
def taxed(till: Till) -> Till:
    """Give a till whose dues bear VAT."""
    rates = {"vat_rates": "2300 from 2020-01-01", "vat_number": "PL5260001246"}
    till.units.settings = msgspec.structs.replace(till.units.settings, **rates)
    return till


async def paid(till: Till) -> str:
    """Return the address of the one receipt."""
    async with till.units.read() as work:
        return f"/account/payments/{await work.session.scalar(select(Payment.id))}"


async def test_a_receipt_has_its_number_and_lines_and_is_its_owner_s_alone(till: Till) -> None:
    ada, eve = await till.person(), await till.person("eve")
    await till.pay(ada, 4000)
    async with till.visitor(ada) as browser:
        path = await paid(till)
        text = (await browser.get(path)).text
    assert "2026-000001" in text
    assert "1 Commons Lane" in text
    assert re.search(r"To the solidarity pool</th><td[^>]*>\$15<", text)

    async with till.visitor(eve) as browser:
        assert (await browser.get(path)).status_code == 404
        assert (await browser.get(f"{path}/receipt.pdf")).status_code == 404
    async with till.visitor() as browser:
        assert (await browser.get(f"{path}/receipt.pdf")).status_code == 303


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Receipt 2026-000001", "A year of membership", "$25", "paid by card", "1 Commons Lane"]),
        ("pl", ["2026-000001", "Rok członkostwa", "25"]),
        ("fr", ["2026-000001", "Une année d'adhésion", "25"]),
    ],
)
async def test_the_pdf_says_the_same_and_can_be_read_aloud(
    till: Till, language: str, words: list[str]
) -> None:
    ada = await till.person()
    await till.pay(ada)
    async with till.visitor(ada) as browser:
        browser.cookies.set("locale", language)
        answer = await browser.get(f"{await paid(till)}/receipt.pdf")

    assert answer.headers["content-type"] == "application/pdf"
    assert 'filename="2026-000001.pdf"' in answer.headers["content-disposition"]
    pdf = pypdf.PdfReader(io.BytesIO(answer.content))
    text = re.sub(r"\s+", " ", pdf.pages[0].extract_text()).replace("\u2019", "'")
    for word in words:
        assert word in text
    root = pdf.trailer["/Root"]
    assert (root["/Lang"], root["/MarkInfo"]["/Marked"], root["/ViewerPreferences"]["/DisplayDocTitle"]) == (
        language,
        True,
        True,
    )
    assert b"<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_data()
    assert "2026-000001" in str((pdf.metadata or {})["/Title"])
    tags = {str(element["/S"]) for element in structure(root["/StructTreeRoot"])}
    assert {"/Table", "/TH", "/TD"} <= tags


async def test_an_organisation_reads_its_own_name(till: Till) -> None:
    ada = await till.person()
    async with till.units.open() as work:
        await organisations.register(work, ada.id, "Bakers United")
    await till.pay(ada, 10_000)

    async with till.visitor(ada) as browser:
        path = await paid(till)
        page = (await browser.get(path)).text
        pdf = pypdf.PdfReader(io.BytesIO((await browser.get(f"{path}/receipt.pdf")).content))

    assert re.search(r"<dd>\s*Bakers United", page)
    assert "Bakers United" in pdf.pages[0].extract_text()


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["VAT in the dues paid", "23%", "$20.33", "$4.67", "VAT number of the cooperative"]),
        ("pl", ["VAT w zapłaconych składkach", "23%", "20,33", "4,67"]),
        ("fr", ["TVA dans la cotisation payée", "23 %", "20,33", "4,67"]),
    ],
)
async def test_vat_stands_on_the_page_and_on_the_pdf(taxed: Till, language: str, words: list[str]) -> None:
    ada = await taxed.person()
    await taxed.pay(ada, 4000)
    async with taxed.visitor(ada) as browser:
        browser.cookies.set("locale", language)
        path = await paid(taxed)
        page = (await browser.get(path)).text
        pdf = pypdf.PdfReader(io.BytesIO((await browser.get(f"{path}/receipt.pdf")).content))

    for text in (page, pdf.pages[0].extract_text()):
        said = re.sub(r"[\s\u202f]+", " ", html.unescape(text)).replace("\u2019", "'")
        for word in [*words, "PL5260001246"]:
            assert word in said


async def test_the_price_shows_the_vat_in_it(taxed: Till) -> None:
    async with taxed.visitor() as browser:
        text = (await browser.get("/")).text

    # The rest of 25.00 less 4.67 is divided by the shares.
    assert re.search(r">VAT</th><td[^>]*>\$4\.67<", text)
    assert re.search(r">Networks</th><td[^>]*>\$12\.20<", text)


def structure(element: object) -> list[pypdf.generic.DictionaryObject]:
    """Return the elements of the structure tree that have a type."""
    if isinstance(element, pypdf.generic.IndirectObject):
        element = element.get_object()
    if isinstance(element, pypdf.generic.ArrayObject):
        return [found for child in element for found in structure(child)]
    if not isinstance(element, pypdf.generic.DictionaryObject):
        return []
    below = structure(element["/K"]) if "/K" in element else []
    return [element, *below] if "/S" in element else below
