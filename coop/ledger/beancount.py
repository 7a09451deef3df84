"""The books as plain text for beancount, which then checks every sum by itself."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import TextIO
from uuid import UUID

from sqlalchemy import func, select

from coop.ledger.balances import trial_balance
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.ledger.exports import entries
from coop.money import Money
from coop.unit_of_work import UnitOfWork


async def export(work: UnitOfWork, out: TextIO) -> None:
    """Write the whole journal, with a balance assertion for every ledger account at the end."""
    code = work.settings.money.code.upper()
    out.write(head(work.settings.name, code))
    opened = await work.session.execute(
        select(EntryPosting.account, func.min(JournalEntry.date))
        .join(JournalEntry, JournalEntry.id == EntryPosting.entry_id)
        .group_by(EntryPosting.account)
        .order_by(EntryPosting.account)
    )
    out.writelines(f"{day} open {account} {code}\n" for account, day in opened)
    last = None
    async for entry, postings in entries(work):
        last = entry.date
        out.write(
            transaction(
                entry.date,
                entry.description,
                ((p.account, p.amount) for p in postings),
                money=work.settings.money.plain,
                code=code,
                facts={
                    "entry": entry.id,
                    "source": entry.source,
                    "external": entry.external_id,
                    "policy": entry.policy_version,
                    "person": entry.person,
                },
            )
        )
    if last is not None:
        # An assertion holds at the beginning of its day.
        day = last + dt.timedelta(days=1)
        plain = work.settings.money.plain
        sums = await trial_balance(work)
        out.write("\n")
        out.writelines(f"{day} balance {name} {plain(amount)} {code}\n" for name, amount in sums.items())


def head(title: str, code: str) -> str:
    """Return the options that a file begins with."""
    return f'option "title" {quoted(title)}\noption "operating_currency" "{code}"\n\n'


def transaction(
    day: dt.date,
    description: str,
    postings: Iterable[tuple[str, Money]],
    *,
    money: Callable[[Money], str],
    code: str,
    facts: dict[str, UUID | str | None] | None = None,
) -> str:
    """Return one transaction; `facts` become its metadata."""
    lines = [f"\n{day} * {quoted(description)}"]
    lines += [f"  {key}: {quoted(str(value))}" for key, value in (facts or {}).items() if value is not None]
    lines += [f"  {account}  {money(amount)} {code}" for account, amount in postings]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return `text` as a string of beancount's, on one line."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'
