"""The published books as files from which anybody can recompute every total: CSV, JSON, beancount."""

import csv
import datetime as dt
from collections.abc import Sequence
from io import StringIO

import msgspec

from coop.ledger import beancount
from coop.ledger.statements import Movement, Period, Statement
from coop.money import Money
from coop.settings import Settings


def as_csv(statement: Statement, settings: Settings) -> str:
    """Write a line per period and ledger account."""
    plain = settings.money.plain
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["from", "to", "years", "ledger_account", "debits", "credits", "currency"])
    for period in statement.periods:
        for name, moved in period.movements.items():
            writer.writerow(
                [
                    period.first,
                    period.last,
                    period.terms,
                    name,
                    plain(moved.debits),
                    plain(moved.credits),
                    settings.money.code.upper(),
                ]
            )
    return out.getvalue()


def as_json(statement: Statement, settings: Settings) -> bytes:
    """Write periods and balances, amounts in minor units."""
    document = {
        "name": settings.name,
        "currency": settings.money.code,
        "day": statement.day,
        "balances": {name: amount.minor for name, amount in statement.balances.items()},
        "periods": [
            {
                "from": period.first,
                "to": period.last,
                "years": period.terms,
                "pool": {"in": period.pool_in.minor, "out": period.pool_out.minor},
                "ledger_accounts": {
                    name: {"debits": moved.debits.minor, "credits": moved.credits.minor}
                    for name, moved in period.movements.items()
                },
            }
            for period in statement.periods
        ],
        "journal": {"sealed": statement.sealed, "head": statement.head},
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def as_beancount(statement: Statement, settings: Settings) -> str:
    """Write one transaction per period, and an assertion for every balance."""
    code, plain = settings.money.code.upper(), settings.money.plain
    text = [beancount.head(settings.name, code)]
    opened: dict[str, dt.date] = {}
    for period in statement.periods:
        for name in period.movements:
            opened.setdefault(name, period.first)
    text += [f"{day} open {name} {code}\n" for name, day in sorted(opened.items())]
    for period in statement.periods:
        postings = [(name, _net(moved)) for name, moved in period.movements.items() if _net(moved)]
        text.append(
            beancount.transaction(
                period.last, f"Totals since {period.first}", postings, money=plain, code=code
            )
        )
    if statement.periods:
        day = statement.periods[-1].last + dt.timedelta(days=1)
        totals = _totals(statement.periods)
        text.append("\n")
        text += [f"{day} balance {name} {plain(amount)} {code}\n" for name, amount in totals.items()]
    return "".join(text)


def _net(moved: Movement) -> Money:
    return moved.debits - moved.credits


def _totals(periods: Sequence[Period]) -> dict[str, Money]:
    totals: dict[str, Money] = {}
    for period in periods:
        for name, moved in period.movements.items():
            totals[name] = totals.get(name, Money(0)) + _net(moved)
    return dict(sorted(totals.items()))
