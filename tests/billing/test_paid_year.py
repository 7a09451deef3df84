"""The quick way to book a newcomer's first year, held against the general way, row by row."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import anyio
import msgspec
import pytest
from sqlalchemy import select

from coop.billing import paid_year
from coop.billing.gateway import PaymentState
from coop.billing.paid_year import Paid
from coop.billing.payments import Payment
from coop.billing.seen import StripeEvent
from coop.billing.stripe_gateway import StripeGateway
from coop.database import Base, Row, insert_once
from coop.identity.accounts import Account
from coop.ledger import DEFERRED_DUES, JournalEntry, sealer
from coop.membership import obstacles
from coop.membership.terms import Term
from coop.money import Money
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.people import register
from tests.statements import CLOCK, statements
from tests.till import Till

COMPLETED = "checkout.session.completed"
WRITES = {"postgresql": 1, "sqlite": 16}
"""The guarded write: one statement; SQLite's statements cannot feed one another."""
IDS = re.compile(r"\b(?:[a-z]{2,4}|cs_test)_[A-Za-z0-9]{14,}\b")


@pytest.fixture
def rates() -> str:
    """Return the rates of VAT: none, unless a test says so."""
    return ""


@pytest.fixture
def settings(settings: Settings, rates: str) -> Settings:
    return msgspec.structs.replace(settings, vat_rates=rates)


async def rows(units: Units) -> dict[str, list[Row]]:
    """Return every row of every table."""
    async with units.read() as work:
        return {
            table.name: [dict(row) for row in (await work.session.execute(select(table))).mappings()]
            for table in Base.metadata.sorted_tables
        }


async def written(till: Till, account: Account, notice: tuple[bytes, str]) -> dict[str, list[str]]:
    """Deliver an event, and return what it has changed in every table, with everybody's names taken out."""
    before = await rows(till.units)
    assert (await till.told(*notice)).status_code == 200
    after = await rows(till.units)
    changed = {name: [row for row in found if row not in before[name]] for name, found in after.items()}
    names = {account.id: "the account"}
    for table in Base.metadata.sorted_tables:
        keys = [column.name for column in table.primary_key]
        for number, row in enumerate(sorted(changed[table.name], key=nameless)):
            own = row[keys[0]]
            if isinstance(own, UUID):
                names.setdefault(own, f"{table.name} {number}")
    return {
        name: sorted(named(row, names, account) for row in found) for name, found in changed.items() if found
    }


def nameless(row: Row) -> str:
    """Return what orders rows alike whoever they are about."""
    return repr([value for value in row.values() if not isinstance(value, UUID | bytes)])


def named(row: Row, names: dict[UUID, str], account: Account) -> str:
    """Return a row with all that differs from person to person replaced by what it stands for."""
    said = repr(row)
    for own, name in names.items():
        said = said.replace(str(own), name)
    said = re.sub(r"\b[0-9a-f]{32}\b", "a key", said)
    return IDS.sub(lambda found: found[0].partition("_")[0], said.replace(account.handle, "someone"))


async def paid(till: Till, account: Account, *, automatic: bool = False) -> list[tuple[str, bytes, str]]:
    """Have somebody pay, and return the webhooks that came of it, undelivered."""
    async with till.withheld() as sink:
        await till.pay(account, automatic=automatic, settle=False)
        await till.sandbox.settle()
    return list(zip(sink.types, sink.bodies, sink.signatures, strict=True))


def of_type(told: list[tuple[str, bytes, str]], name: str) -> tuple[bytes, str]:
    return next((body, signature) for kind, body, signature in told if kind == name)


@pytest.mark.parametrize(
    ("event", "automatic", "address", "settled", "rates"),
    [
        (COMPLETED, False, True, True, ""),
        (COMPLETED, False, False, False, ""),
        (COMPLETED, True, True, False, ""),
        ("invoice.paid", True, True, True, ""),
        (COMPLETED, False, True, False, "2300 from 2026-01-01"),
    ],
)
async def test_both_ways_write_the_same_rows(
    till: Till,
    monkeypatch: pytest.MonkeyPatch,
    *,
    event: str,
    automatic: bool,
    address: bool,
    settled: bool,
    rates: str,
) -> None:
    if not settled:
        till.sandbox.terms = replace(till.sandbox.terms, balance_delay=3600)
    quickly: list[bool] = []
    write = paid_year.write

    async def noted(units: Units, years: Sequence[Paid]) -> list[bool]:
        quickly.extend(await write(units, years))
        return quickly[-len(years) :]

    monkeypatch.setattr(paid_year, "write", noted)
    found = []
    for handle in ("ada_", "eve_"):
        account = await till.person(handle) if address else await register(till.units, handle)
        notice = of_type(await paid(till, account, automatic=automatic), event)
        found.append(await written(till, account, notice))
        # The first goes the quick way, the second the general one.
        monkeypatch.setattr(paid_year, "may_be", lambda seen: False)

    assert quickly == [True]
    quick, general = found
    assert "stripe_events" in quick
    assert "terms" in quick
    assert ("vat_lines" in quick) == bool(rates)
    assert quick.keys() == general.keys()
    for table, told in quick.items():
        assert told == general[table], table


async def test_a_first_year_takes_one_look_and_one_write(till: Till, engine_name: str) -> None:
    notice = of_type(await paid(till, await till.person()), COMPLETED)

    with statements(till.app) as said:
        assert (await till.told(*notice)).status_code == 200

    assert len(said) == 2 * CLOCK + 1 + WRITES[engine_name], said


async def test_a_repeat_takes_one_look_and_asks_nobody(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    notice = of_type(await paid(till, await till.person()), COMPLETED)
    assert (await till.told(*notice)).status_code == 200

    async def never(self: StripeGateway, payment: str) -> PaymentState:
        raise AssertionError(payment)

    monkeypatch.setattr(StripeGateway, "fetch_payment", never)
    with statements(till.app) as said:
        assert (await till.told(*notice)).status_code == 200

    assert len(said) == CLOCK + 1, said


async def test_many_first_years_at_once_are_written_together(till: Till, engine_name: str) -> None:
    people = [await till.person(f"eve{number}") for number in range(12)]
    notices = [of_type(await paid(till, each), COMPLETED) for each in people]

    with statements(till.app) as said:
        async with anyio.create_task_group() as tasks:
            for notice in notices:
                tasks.start_soon(till.told, *notice)

    assert [await till.state(each) for each in people] == ["active"] * len(people)
    assert await till.balance(DEFERRED_DUES) == 2500 * len(people)
    if engine_name == "postgresql":
        assert len(said) < len(people) * (2 * CLOCK + 2), said


async def test_a_payment_of_somebody_elses_checkout_begins_no_year_here(till: Till) -> None:
    ada, eve = await till.person("ada"), await till.person("eve")
    paid_by = of_type(await paid(till, ada), COMPLETED)
    await till.begin(eve)
    opened = (await rows(till.units))["checkouts"]
    mine = next(row for row in opened if row["account_id"] == eve.id)
    forged = json.loads(paid_by[0])
    forged["data"]["object"] |= {"id": mine["gateway_id"], "metadata": {"operation": str(mine["id"])}}
    body = json.dumps(forged).encode()

    await till.told(body, till.signed(body))

    assert await till.state(eve) == "none"


async def test_what_changed_between_look_and_write_goes_the_general_way(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await till.person()
    notice = of_type(await paid(till, ada), COMPLETED)
    write = paid_year.write

    async def later(units: Units, years: Sequence[Paid]) -> list[bool]:
        async with units.open() as work:
            await obstacles.put(work, ada.id, "dispute:dp_inTheSameSecond")
        return await write(units, years)

    monkeypatch.setattr(paid_year, "write", later)
    assert (await till.told(*notice)).status_code == 200

    # The bank disputes an earlier payment: this one is credited, and on its way back.
    assert await till.count(Term) == 0
    assert await till.count(Payment, Payment.refunded > Money(0)) == 1


async def test_a_key_that_is_taken_meanwhile_goes_the_general_way(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [await till.person("ada"), await till.person("eve")]
    notices = [of_type(await paid(till, each), COMPLETED) for each in people]
    names = [json.loads(body)["id"] for body, _ in notices]
    write = paid_year.write
    told: list[bool] = []

    async def together(units: Units, years: Sequence[Paid]) -> list[bool]:
        # Another process has acknowledged the first event in the same moment.
        async with units.open() as work:
            known = {"id": names[0], "type": COMPLETED, "object_id": "cs_x", "received_at": work.wall}
            await insert_once(work.session, StripeEvent, **known)
        told.extend(await write(units, years))
        return told[-len(years) :]

    monkeypatch.setattr(paid_year, "write", together)
    for notice in notices:
        assert (await till.told(*notice)).status_code == 200

    assert told == [False, True]
    assert [await till.state(each) for each in people] == ["none", "active"]


async def test_the_chain_seals_what_was_written_quickly(till: Till) -> None:
    notice = of_type(await paid(till, await till.person()), COMPLETED)
    assert (await till.told(*notice)).status_code == 200

    assert await sealer.seal_due(till.units) == await till.count(JournalEntry)
