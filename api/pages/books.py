"""The open books: where the money is, whose it is, what each month brought; and, to members, their own entries."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from babel.dates import format_date
from babel.numbers import format_currency
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.dependencies import Viewer
from api.pages.languages import marked
from api.pages.rendering import locale_of, page
from coop import ledger
from coop.errors import NotFound
from coop.ledger import chart, publication, references, sealer, statements
from coop.ledger.statements import Movement, Period, Statement
from coop.money import ZERO, Money
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

AnyRequest = Request[object, object, State]

NAMES = {
    chart.STRIPE: marked("At Stripe"),
    chart.STRIPE_PENDING: marked("On its way through Stripe"),
    chart.BANK: marked("In the bank"),
    chart.CASH: marked("Cash"),
    chart.DISPUTED: marked("Held back in disputes"),
    chart.INSTALMENTS_DUE: marked("Instalments due"),
    chart.DEFERRED_DUES: marked("Members' years still to come"),
    chart.POOL: marked("Solidarity pool"),
    chart.RESERVED: marked("Set aside by the pool for people who are joining"),
    chart.GIFTS_OUTSTANDING: marked("Gifts not claimed yet"),
    chart.MEMBER_CREDIT: marked("To be given back or used"),
    chart.VAT_PAYABLE: marked("VAT"),
    chart.RESERVE: marked("Reserve"),
    chart.MEMBER_SHARES: marked("Members' shares in the cooperative"),
    chart.OPERATIONS: marked("Operations' part of dues"),
    chart.GRANTS: marked("Grants"),
    chart.FEES: marked("Card fees"),
    chart.DISPUTE_FEES: marked("Fees of disputes"),
    chart.HOSTING: marked("Hosting"),
    chart.WAGES: marked("Wages"),
    chart.BANK_FEES: marked("Bank fees"),
    chart.OTHER_COSTS: marked("Other costs"),
}
NETWORKS = marked("Owed to networks")
RESULT = marked("Earned by operations, less its costs")
_NETWORKS_ROOT = "Liabilities:Networks:"


class NoSuchPeriod(NotFound):
    """The books publish no period of that name."""

    code = "no_such_period"


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """A line of a member's own books, with the seal that fixes it."""

    day: date
    description: str
    postings: list[tuple[str, Money]]


@get("/books", include_in_schema=False)
async def books(
    request: AnyRequest, units: NamedDependency[Units], viewer: NamedDependency[Viewer | None]
) -> Response[bytes]:
    """Show the books as of this moment."""
    async with units.snapshot() as work:
        statement = await statements.publish(work)
        waiting = await sealer.lag(work)
        own = await _own_entries(work, viewer.account_id) if viewer else []
    return page(
        "books/books.html",
        request,
        statement=statement,
        where=_named(statement, "Assets:"),
        whose=[
            *_named(statement, "Liabilities:"),
            *_named(statement, "Equity:"),
            *([(RESULT, statement.result)] if statement.result else []),
        ],
        total=statement.total("Assets:"),
        earned=_named(statement, "Income:"),
        spent=_named(statement, "Expenses:"),
        periods=[(period, _months(request, period)) for period in reversed(statement.periods)],
        waiting=waiting,
        own=own,
        name=_name,
        cents=_cents(request),
    )


@get("/books/{period:str}", include_in_schema=False)
async def books_of_period(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    period: FromPath[str],
) -> Response[bytes]:
    """Show every ledger account of one published period."""
    del viewer
    async with units.snapshot() as work:
        statement = await statements.publish(work)
    found = next((one for one in statement.periods if one.key == period), None)
    if found is None:
        raise NoSuchPeriod
    return page(
        "books/period.html",
        request,
        period=found,
        months=_months(request, found),
        lines=_lines(found),
        debits=sum((moved.debits for moved in found.movements.values()), ZERO),
        credits=sum((moved.credits for moved in found.movements.values()), ZERO),
        cents=_cents(request),
    )


@get("/books/books.csv", include_in_schema=False)
async def books_csv(units: NamedDependency[Units], settings: NamedDependency[Settings]) -> Response[bytes]:
    """Give the published totals as CSV."""
    return _file(publication.as_csv(await _statement(units), settings).encode(), "text/csv", "books.csv")


@get("/books/books.json", include_in_schema=False)
async def books_json(units: NamedDependency[Units], settings: NamedDependency[Settings]) -> Response[bytes]:
    """Give the published totals as JSON."""
    return _file(publication.as_json(await _statement(units), settings), MediaType.JSON, "books.json")


@get("/books/books.beancount", include_in_schema=False)
async def books_beancount(
    units: NamedDependency[Units], settings: NamedDependency[Settings]
) -> Response[bytes]:
    """Give the published totals as beancount, with an assertion for every balance."""
    text = publication.as_beancount(await _statement(units), settings)
    return _file(text.encode(), "text/plain; charset=utf-8", "books.beancount")


async def _statement(units: Units) -> Statement:
    async with units.snapshot() as work:
        return await statements.publish(work)


def _file(content: bytes, media_type: str, name: str) -> Response[bytes]:
    return Response(
        content,
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _named(statement: Statement, root: str) -> list[tuple[str, Money]]:
    """Return the balances below `root` under the names that people read; networks in one sum."""
    rows = [
        (_name(account), amount)
        for account, amount in statement.balances.items()
        if account.startswith(root) and not account.startswith(_NETWORKS_ROOT) and amount
    ]
    owed = statement.total(_NETWORKS_ROOT) if root == "Liabilities:" else ZERO
    return [*rows, (NETWORKS, owed)] if owed else rows


def _lines(period: Period) -> list[tuple[str, Movement]]:
    rows = [(_name(a), m) for a, m in period.movements.items() if not a.startswith(_NETWORKS_ROOT)]
    networks = sum((m for _, m in period.under(_NETWORKS_ROOT)), Movement())
    return [*rows, (NETWORKS, networks)] if networks != Movement() else rows


def _name(account: str) -> str:
    """Return how people call a ledger account; costs outside the chart have plain names already."""
    if account.startswith(_NETWORKS_ROOT):
        return NETWORKS
    return NAMES.get(ledger.LedgerAccount(account)) or account.rpartition(":")[2]


def _months(request: AnyRequest, period: Period) -> str:
    locale = locale_of(request)
    first = format_date(period.first, "LLLL y", locale=locale)
    return f"{first} – {format_date(period.last, 'LLLL y', locale=locale)}" if period.months else first  # noqa: RUF001 - a dash between dates


def _cents(request: AnyRequest) -> Callable[[Money], str]:
    """Return what writes an amount with all its decimals: in a column of figures a whole sum must not stand apart."""
    settings: Settings = request.app.state.settings
    locale = locale_of(request)

    def write(amount: Money) -> str:
        return format_currency(settings.money.plain(amount), settings.money.code.upper(), locale=locale)

    return write


async def _own_entries(work: UnitOfWork, account_id: UUID) -> list[OwnEntry]:
    person = await references.find(work, account_id)
    if person is None:
        return []
    entries = await ledger.of_person(work, person)
    lines = await sealer.postings_by_entry(work, [entry.id for entry in entries])
    return [
        OwnEntry(entry.date, entry.description, [(name, Money(minor)) for name, minor in lines[entry.id]])
        for entry in entries
    ]


routes = [books, books_of_period, books_csv, books_json, books_beancount]
