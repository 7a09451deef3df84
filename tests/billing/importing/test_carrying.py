"""Memberships that were paid for elsewhere: taken over once, claimed by their owners, charged to nobody."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from coop import ledger, policies, worker
from coop.billing.importing import carrying, held
from coop.billing.importing.carrying import ImportUnderWay, Report
from coop.billing.importing.files import Row
from coop.billing.importing.held import ImportedMembership
from coop.billing.importing.judging import Options
from coop.billing.stripe_gateway import StripeGateway
from coop.clock import FixedClock
from coop.identity import accounts, verification
from coop.identity.accounts import Account
from coop.identity.verification import EmailVerified
from coop.ledger import BANK, DEFERRED_DUES, RESERVE, JournalEntry, checks
from coop.membership import standing, terms
from coop.membership.terms import Term
from coop.money import Money
from coop.networks import settlement
from coop.outbox import OutboxMessage
from coop.policies import Dues
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.conftest import Postbox
from tests.cooperative import found
from tests.people import register
from tests.statements import said_to

# The tests' clock stands at 2 March 2026, noon UTC.
ADA = Row(line=2, external_id="1", email="ada@example.org", paid_until=dt.date(2026, 9, 2))


def row(number: int, **facts: Any) -> Row:  # noqa: ANN401 - the fields of a row
    given = {"line": number + 1, "external_id": str(number), "email": f"m{number}@example.org"}
    return Row(**(given | {"paid_until": dt.date(2026, 9, 2)} | facts))


async def given(rows: Sequence[Row]) -> AsyncIterator[Row]:
    for one in rows:
        yield one


async def carry(units: Units, *rows: Row, apply: bool = True, invite: bool = False) -> Report:
    return await carrying.carry(units, given(rows), Options(source="csv", apply=apply, invite=invite))


async def books(units: Units) -> dict[str, int]:
    async with units.snapshot() as work:
        report = await checks.run(work)
        assert report.ok, [check for check in report.checks if not check.ok]
        return {name: amount for name, amount in report.sums.items() if amount}


async def hand_over(units: Units, cents: int) -> None:
    """Have the old tool's host pay over what it held for the months to come, as the treasurer books it."""
    async with units.open() as work:
        await ledger.post(
            work,
            source="manual",
            external_id="opening",
            description="Handed over by the former host",
            postings=[ledger.debit(BANK, Money(cents)), ledger.credit(RESERVE, Money(cents))],
        )


async def term_of(units: Units, account: Account) -> Term:
    async with units.read() as work:
        (term,) = await terms.history(work, account.id)
    return term


async def come(units: Units, handle: str = "ada") -> Account:
    """Have somebody register and confirm their address, and the worker hear of it."""
    person = await register(units, handle, email=f"{handle}@example.org")
    async with units.open() as work:
        await held.on_verified(work, EmailVerified(account_id=person.id))
    return person


@pytest.fixture(autouse=True)
async def founded(units: Units) -> None:
    await found(units)


async def test_a_dry_run_changes_nothing_and_says_what_would_be(units: Units) -> None:
    report = await carry(units, ADA, row(2, fault="bad_date"), apply=False)

    assert dict(report.outcomes) == {"new": 1, "bad_date": 1}
    assert report.owed.minor == 1250
    assert [(one.line, one.outcome) for one in report.shown] == [(3, "bad_date")]
    assert await books(units) == {}
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(ImportedMembership)) == 0


async def test_what_is_left_of_a_year_is_owed_and_begins_for_whoever_confirms_the_address(
    units: Units, clock: FixedClock
) -> None:
    await carry(units, ADA)
    assert await books(units) == {"Liabilities:DeferredDues": 1250, "Equity:Reserve": -1250}

    clock.advance(timedelta(days=35))
    ada = await come(units)

    term = await term_of(units, ada)
    assert (term.first_day, term.year, term.price.minor) == (dt.date(2025, 9, 2), 1, 2500)
    assert term.ends.date() == dt.date(2026, 9, 2)
    async with units.read() as work:
        assert (await standing.of(work, ada.id)).state == "active"
        kept = (await work.session.scalars(select(ImportedMembership))).one()
        assert (kept.state, kept.email_digest, kept.term_id) == ("claimed", None, term.id)
    # The months before the import are no business of these books; the one since then is earned.
    await hand_over(units, 1250)
    await settlement.recognise_due(units)
    assert (await books(units))["Liabilities:DeferredDues"] == 1250 - 208
    clock.advance(timedelta(days=200))
    await settlement.recognise_due(units)
    assert "Liabilities:DeferredDues" not in await books(units)


async def test_confirming_the_address_is_all_that_a_member_does(
    units: Units, settings: Settings, postbox: Postbox
) -> None:
    await carry(units, ADA)
    ada = await register(units, "ada", email="ada@example.org", verified=False)
    async with units.open() as work:
        await verification.ask(work, await accounts.get(work, ada.id), "ada@example.org")
    hands = replace(worker.assemble(units, StripeGateway(settings), postbox), jobs=(), errands=())
    await hands.drain()
    (letter,) = postbox.letters
    async with units.open() as work:
        assert (await standing.of(work, ada.id)).state == "none"
        await verification.confirm(work, letter.body.partition("token=")[2].split()[0])

    await hands.drain()

    async with units.read() as work:
        assert (await standing.of(work, ada.id)).state == "active"
    # No second letter: what was taken over is silent.
    assert len(postbox.letters) == 1


async def test_a_second_run_changes_nothing_and_one_after_a_crash_goes_on(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "BATCH", 2)
    rows = [row(number) for number in range(5)]

    async def broken() -> AsyncIterator[Row]:
        for one in rows[:3]:
            yield one
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await carrying.carry(units, broken(), Options(source="csv", apply=True))
    second = await carry(units, *rows)
    before = await books(units)
    third = await carry(units, *rows)

    assert dict(second.outcomes) == {"unchanged": 2, "new": 3}
    assert dict(third.outcomes) == {"unchanged": 5}
    assert await books(units) == before == {"Liabilities:DeferredDues": 6250, "Equity:Reserve": -6250}
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(JournalEntry)) == 3


async def test_of_imports_at_once_each_member_is_taken_over_once(units: Units) -> None:
    rows = [row(number) for number in range(1, 31)]

    ran = await asyncio.gather(*(carry(units, *rows) for _ in range(5)), return_exceptions=True)

    # One that comes second in the same instant is told so, and finds nothing left to do when it is run again.
    assert all(isinstance(one, Report | ImportUnderWay) for one in ran), ran
    again = await carry(units, *rows)
    assert dict(again.outcomes) == {"unchanged": 30}
    assert await books(units) == {"Liabilities:DeferredDues": 30 * 1250, "Equity:Reserve": -30 * 1250}
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(ImportedMembership)) == 30


async def test_a_later_export_brings_up_to_date_what_waits_and_leaves_what_was_claimed(units: Units) -> None:
    await carry(units, ADA, row(2))
    await come(units)

    report = await carry(
        units,
        Row(line=2, external_id="1", email="ada@example.org", paid_until=dt.date(2027, 2, 2)),
        row(2, paid_until=dt.date(2027, 2, 2)),
    )

    assert dict(report.outcomes) == {"claimed": 1, "changed": 1}
    assert (await books(units))["Liabilities:DeferredDues"] == 1250 + 2292


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (row(1, paid_until=dt.date(2025, 12, 20)), "lapsed"),
        (row(1, paid_until=dt.date(2027, 3, 4)), "too_far"),
        (row(1, external_id="x" * 201), "bad_id"),
    ],
)
async def test_what_cannot_be_taken_over_is_left_out(units: Units, one: Row, outcome: str) -> None:
    report = await carry(units, one)

    assert dict(report.outcomes) == {outcome: 1}
    assert await books(units) == {}


async def test_who_is_in_grace_is_taken_over_and_renews_from_the_old_end(units: Units) -> None:
    await carry(units, Row(line=2, external_id="1", email="ada@example.org", paid_until=dt.date(2026, 2, 1)))

    ada = await come(units)

    async with units.open() as work:
        assert (await standing.of(work, ada.id)).state == "grace"
        renewed = await terms.begin(work, ada.id, dues=await policies.in_force(work, Dues))
    assert renewed.begins.date() == dt.date(2026, 2, 1)
    assert await books(units) == {}


async def test_the_same_row_twice_is_taken_once_and_the_same_address_goes_to_one(units: Units) -> None:
    twin = Row(line=9, external_id="9", email="ada@example.org", paid_until=dt.date(2026, 11, 2))

    report = await carry(units, ADA, ADA, twin)
    ada = await come(units)

    assert dict(report.outcomes) == {"new": 2, "duplicate": 1}
    # The one that lasts longest.
    assert (await term_of(units, ada)).ends.date() == dt.date(2026, 11, 2)


async def test_a_confirmed_address_is_served_at_once_and_an_unconfirmed_one_is_not(units: Units) -> None:
    ada = await register(units, "ada", email="ada@example.org")
    bob = await register(units, "bob", email="m2@example.org", verified=False)

    report = await carry(units, ADA, row(2))

    assert dict(report.outcomes) == {"known_address": 1, "new": 1}
    async with units.read() as work:
        states = await standing.of_many(work, [ada.id, bob.id])
    assert [states[person.id].state for person in (ada, bob)] == ["active", "none"]


async def test_who_has_a_year_here_is_not_given_a_second_one(units: Units) -> None:
    ada = await register(units, "ada", email="ada@example.org")
    async with units.open() as work:
        await terms.begin(work, ada.id, dues=await policies.in_force(work, Dues))

    report = await carry(units, ADA)

    assert dict(report.outcomes) == {"member": 1}


async def test_who_paid_here_before_confirming_keeps_the_rest_as_credit(units: Units) -> None:
    await carry(units, ADA)
    ada = await register(units, "ada", email="ada@example.org")
    async with units.open() as work:
        dues = await policies.in_force(work, Dues)
        await terms.begin(work, ada.id, dues=dues)
        await held.on_verified(work, EmailVerified(account_id=ada.id))
        await held.on_verified(work, EmailVerified(account_id=ada.id))

    sums = await books_of(units)
    assert (sums["Liabilities:MemberCredit"], sums["Liabilities:DeferredDues"]) == (1250, 0)
    async with units.read() as work:
        assert len(await terms.history(work, ada.id)) == 1


async def books_of(units: Units) -> dict[str, int]:
    """Return the sums alone: a year that nobody paid for here is on no book."""
    async with units.read() as work:
        sums = await ledger.trial_balance(work)
    return {str(name): ledger.natural(name, amount).minor for name, amount in sums.items()}


async def test_what_nobody_claims_is_earned_and_the_address_forgotten(
    units: Units, clock: FixedClock
) -> None:
    await carry(units, ADA, row(2))
    await hand_over(units, 2500)
    clock.advance(timedelta(days=184 + 59))
    assert await held.expire_due(units) == 0
    clock.advance(timedelta(days=2))

    assert await held.expire_due(units) == 2
    assert await held.expire_due(units) == 0

    assert "Liabilities:DeferredDues" not in await books(units)
    async with units.read() as work:
        digests = await work.session.scalars(select(ImportedMembership.email_digest))
    assert set(digests) == {None}
    assert (await come(units)).id
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Term)) == 0


@pytest.mark.parametrize("invite", [False, True])
async def test_nobody_is_written_to_unless_it_is_asked_for(units: Units, *, invite: bool) -> None:
    await carry(units, ADA, row(2), invite=invite)
    await carry(units, ADA, row(2), invite=invite)

    async with units.read() as work:
        letters = (
            await work.session.scalars(select(OutboxMessage.payload).where(OutboxMessage.kind == "Letter"))
        ).all()
    assert len(letters) == (2 if invite else 0)


@pytest.mark.parametrize(
    "values",
    [{"state": "claimed"}, {"state": "expired"}, {"email_digest": None}, {"months": 13}, {"owed": 2501}],
)
async def test_the_database_keeps_what_must_hold_of_an_imported_year(
    units: Units, values: dict[str, object]
) -> None:
    await carry(units, ADA)
    if "owed" in values:
        values = {"owed": ImportedMembership.price + ImportedMembership.owed}

    with pytest.raises(IntegrityError):
        async with units.open() as work:
            await work.session.execute(update(ImportedMembership).values(values))


async def test_a_batch_costs_the_same_statements_whatever_its_size(units: Units) -> None:
    with said_to(units) as few:
        await carry(units, *[row(number) for number in range(1, 4)])
    with said_to(units) as many:
        await carry(units, *[row(number) for number in range(4, 104)])

    assert len(many) == len(few)


async def test_handles_and_addresses_of_strangers_are_not_kept(units: Units) -> None:
    await carry(units, ADA)

    async with units.read() as work:
        (kept,) = await work.session.scalars(select(ImportedMembership))
        assert await accounts.by_name(work, "ada@example.org") is None
    assert "example.org" not in repr(vars(kept))
    assert kept.email_digest != held.digest_of(units.settings, "bob@example.org")
    assert DEFERRED_DUES in await books(units)
