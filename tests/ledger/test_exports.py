import csv
import io
import json
from pathlib import Path
from uuid import uuid4

import pytest

from coop import ledger, policies
from coop.ledger import DEFERRED_DUES, POOL, STRIPE_PENDING, beancount, credit, debit, exports, references
from coop.money import Money
from coop.policies import Dues
from coop.unit_of_work import Units
from tests.cooperative import found
from tests.ledger.oracle import bean_check

HOSTILE = 'A "gift"\\ of\nmany words; ^link #tag'


async def trade(units: Units, entries: int) -> None:
    await found(units)
    async with units.open() as work:
        dues = await policies.in_force(work, Dues)
        person = await references.of(work, uuid4())
        for number in range(entries):
            await ledger.post(
                work,
                source="test",
                external_id=str(number),
                description=HOSTILE,
                postings=[
                    debit(STRIPE_PENDING, Money(4000 + number)),
                    credit(DEFERRED_DUES, Money(2500)),
                    credit(POOL, Money(1500 + number)),
                ],
                policy_version=dues.id,
                person=person,
            )


async def test_bean_check_accepts_the_books(units: Units, tmp_path: Path) -> None:
    await trade(units, 12)
    out = io.StringIO()
    async with units.snapshot() as work:
        await beancount.export(work, out)

    checked = bean_check(out.getvalue(), tmp_path / "books.beancount")

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "balance Liabilities:Pool -180.66 USD" in out.getvalue()


async def test_bean_check_refuses_books_with_one_cent_changed(units: Units, tmp_path: Path) -> None:
    await trade(units, 1)
    out = io.StringIO()
    async with units.snapshot() as work:
        await beancount.export(work, out)

    checked = bean_check(out.getvalue().replace("-15.00", "-15.01"), tmp_path / "books.beancount")

    assert checked.returncode != 0


async def test_empty_books_can_be_exported(units: Units, tmp_path: Path) -> None:
    out = io.StringIO()
    async with units.snapshot() as work:
        await beancount.export(work, out)

    assert bean_check(out.getvalue(), tmp_path / "books.beancount").returncode == 0


async def test_a_journal_longer_than_a_page_is_exported_whole(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_PAGE", 5)
    await trade(units, 23)

    async with units.snapshot() as work:
        found_entries = [entry.external_id async for entry, _ in exports.entries(work)]

    assert sorted(found_entries, key=int) == [str(number) for number in range(23)]


async def test_csv_has_a_line_for_each_posting(units: Units) -> None:
    await trade(units, 2)
    out = io.StringIO()
    async with units.snapshot() as work:
        await exports.journal_csv(work, out)

    rows = list(csv.DictReader(io.StringIO(out.getvalue())))

    assert len(rows) == 6
    assert {row["description"] for row in rows} == {HOSTILE}
    assert sum(float(row["debit"] or 0) - float(row["credit"] or 0) for row in rows) == pytest.approx(0)


async def test_json_has_a_line_for_each_entry(units: Units) -> None:
    await trade(units, 2)
    out = io.StringIO()
    async with units.snapshot() as work:
        await exports.journal_json(work, out)

    lines = [json.loads(line) for line in out.getvalue().splitlines()]

    assert len(lines) == 2
    assert all(sum(posting["amount"] for posting in line["postings"]) == 0 for line in lines)
