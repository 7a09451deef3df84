"""Receipts on paper: what one says in the reader's language, and the same as an accessible PDF (PDF/UA-1)."""

import json
from datetime import date
from functools import cache

import anyio
import msgspec
from anyio import CapacityLimiter
from babel.dates import format_date

from api.pages.languages import marked, translations
from api.pages.rendering import HERE, money, percent
from coop.billing.receipts import Document, Receipt
from coop.money import Money
from coop.settings import Settings

TEMPLATE = HERE / "templates" / "payments" / "receipt.typ"

_LINES = {
    "dues": marked("A year of membership"),
    "pool_part": marked("Added by the solidarity pool"),
    "to_pool": marked("To the solidarity pool"),
    "gift": marked("A year of membership as a gift"),
    "credit": marked("Kept as your credit until a year can begin"),
    "instalment": marked("An instalment of a year of membership"),
    "other": marked("Other"),
    "given_back": marked("Given back"),
}
_METHODS = {
    "card": marked("paid by card"),
    "bank": marked("paid by bank transfer"),
    "cash": marked("paid in cash"),
}


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt in words: everything that stands on it, ready to be laid out."""

    lang: str
    title: str
    seller: str
    address: list[str]
    number: str
    facts: list[tuple[str, str]]
    head: tuple[str, str]
    lines: list[tuple[str, str]]
    total: tuple[str, str]
    tax: str
    """What the table of VAT is called."""
    taxes: list[tuple[str, str]]
    note: str


def written(receipt: Receipt, settings: Settings, locale: str, *, called: str) -> Paper:
    """Put a receipt into words; `called` is whose it is: a person as they are called today, or an organisation."""
    said: Document = receipt.said
    gettext = translations(locale).gettext

    def amount(minor: int) -> str:
        return money(Money(minor), settings, locale)

    note = receipt.kind == "credit_note"
    title = gettext(marked("Credit note %(number)s")) if note else gettext(marked("Receipt %(number)s"))
    facts = [
        (gettext(marked("Number")), receipt.name),
        (gettext(marked("Day")), format_date(date.fromisoformat(said.day), format="long", locale=locale)),
        (gettext(marked("For")), called),
    ]
    if said.of:
        facts.append((gettext(marked("Of receipt")), said.of))
    else:
        facts.append((gettext(marked("Payment")), gettext(_METHODS[said.method])))
    if said.vat_number:
        facts.append((gettext(marked("VAT number of the cooperative")), said.vat_number))
    return Paper(
        lang=locale,
        title=title % {"number": receipt.name},
        seller=said.seller,
        address=[part.strip() for part in said.address.split(",") if part.strip()],
        number=receipt.name,
        facts=facts,
        head=(gettext(marked("What")), gettext(marked("Amount"))),
        lines=[(gettext(_LINES[line.what]), amount(line.amount)) for line in said.lines],
        total=(gettext(marked("Given back")) if note else gettext(marked("Paid")), amount(said.amount)),
        tax=gettext(marked("VAT in the dues given back"))
        if note
        else gettext(marked("VAT in the dues paid")),
        taxes=[
            row
            for one in said.taxes
            for row in (
                (gettext(marked("Net")), amount(one.net)),
                (gettext(marked("VAT, %(rate)s")) % {"rate": percent(one.rate, locale)}, amount(one.vat)),
                (gettext(marked("Gross")), amount(one.gross)),
            )
        ],
        note=gettext(marked("The dues of this payment are set by version %(number)s of the law of dues."))
        % {"number": said.policy},
    )


async def pdf(paper: Paper) -> bytes:
    """Draw a paper, one at a time, in a thread of its own: it takes a tenth of a second."""
    return await anyio.to_thread.run_sync(draw, paper, limiter=_one_at_a_time())


def draw(paper: Paper) -> bytes:
    """Return the PDF; its words are data to the layout, never part of its program."""
    # Thirty megabytes that no other request needs.
    import typst  # noqa: PLC0415

    drawn: bytes = typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        format="pdf",
        # The fonts that come with the library: the same paper on every machine.
        ignore_system_fonts=True,
        sys_inputs={"paper": json.dumps(msgspec.to_builtins(paper), ensure_ascii=False)},
        pdf_standards="ua-1",
    )
    return drawn


@cache
def _one_at_a_time() -> CapacityLimiter:
    return CapacityLimiter(1)
