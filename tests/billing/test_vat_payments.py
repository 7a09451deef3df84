import asyncio
import io
from datetime import timedelta

import msgspec
import pytest

from coop import ledger
from coop.billing import checks, vat_payments, withdrawal
from coop.billing.desk import acts
from coop.billing.vat_payments import NoSuchVatPayment, PayVat, UndoVat, VatNotOwed, VatPayment, VatRecorded
from coop.errors import Invalid
from coop.identity.accounts import Account
from coop.ledger import BANK, VAT_PAYABLE, JournalEntry, exports
from coop.ledger.checks import Report
from coop.money import Money
from coop.settings import Settings
from coop.stewardship.approvals import Proposal
from coop.stewardship.roles import RoleMissing
from coop.unit_of_work import new_id
from tests.billing.offline.test_desk import BECAUSE, approve, treasurer
from tests.till import Till


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, vat_rates="2300 from 2020-01-01", vat_number="PL5260001246")


async def taxed(till: Till, count: int = 1) -> list[Account]:
    """Let so many people pay for a year: 4.67 of VAT each."""
    people = [await till.person(f"p{n}") for n in range(count)]
    for one in people:
        await till.pay(one)
    return people


async def paid(
    till: Till, by: Account, cents: int, *, period: str = "2026-03", reference: str = "TR 1"
) -> Proposal | None:
    async with till.units.open() as work:
        act = PayVat(period=period, reference=reference, amount=cents)
        return await acts.decide(work, act, by=by.id, reason=BECAUSE)


async def standing(till: Till) -> list[VatPayment]:
    async with till.units.read() as work:
        return [one for one in await vat_payments.latest(work) if one.undone_at is None]


async def checked(till: Till) -> Report:
    async with till.units.read() as work:
        return await checks.run(work)


async def test_vat_paid_leaves_the_bank_and_is_owed_no_more(till: Till) -> None:
    tess = await treasurer(till, "tess")
    await taxed(till, 2)

    assert await paid(till, tess, 900) is None

    books = await till.books()
    assert (books["VATPayable"], books["Bank"]) == (2 * 467 - 900, -900)
    (one,) = await standing(till)
    assert (one.period, one.reference, one.amount.minor) == ("2026-03", "TR 1", 900)
    report = await checked(till)
    (found,) = [check for check in report.checks if check.name == "vat_owed"]
    assert found.detail == "0.34 is owed to the tax office, 9.00 was paid to it"


async def test_never_more_is_paid_than_is_owed_not_even_by_two_at_once(till: Till) -> None:
    tess = await treasurer(till, "tess")
    await taxed(till)
    with pytest.raises(VatNotOwed):
        await paid(till, tess, 468)

    done = await asyncio.gather(
        *(paid(till, tess, 400, reference=f"TR {n}") for n in range(4)), return_exceptions=True
    )

    assert sum(one is None for one in done) == 1
    assert sum(isinstance(one, VatNotOwed) for one in done) == 3
    assert await till.balance(VAT_PAYABLE) == 67


async def test_the_same_payment_is_recorded_once(till: Till) -> None:
    tess = await treasurer(till, "tess")
    await taxed(till, 2)
    await paid(till, tess, 400)

    with pytest.raises(VatRecorded):
        await paid(till, tess, 400, reference=" TR  1 ")
    with pytest.raises(Invalid, match="Another amount"):
        await paid(till, tess, 401)

    assert await till.balance(BANK) == -400


async def test_a_mistake_is_undone_by_the_opposite_and_recorded_anew(till: Till) -> None:
    tess = await treasurer(till, "tess")
    await taxed(till, 2)
    await paid(till, tess, 900)
    (wrong,) = await standing(till)

    async with till.units.open() as work:
        await acts.decide(work, UndoVat(payment_id=wrong.id), by=tess.id, reason="It was 8.00")
    assert (await till.balance(VAT_PAYABLE), await till.balance(BANK)) == (2 * 467, 0)
    with pytest.raises(NoSuchVatPayment):
        async with till.units.open() as work:
            await acts.decide(work, UndoVat(payment_id=wrong.id), by=tess.id, reason="Twice")
    await paid(till, tess, 800)

    assert [one.amount.minor for one in await standing(till)] == [800]
    assert await till.count(JournalEntry, JournalEntry.source == "reversal") == 1


async def test_a_large_payment_takes_two_and_what_is_owed_is_asked_again(till: Till) -> None:
    msgspec.structs.force_setattr(till.units.settings, "two_people_above", 500)
    tess, theo = await treasurer(till, "tess"), await treasurer(till, "theo")
    await taxed(till, 2)
    first, second = await paid(till, tess, 600), await paid(till, tess, 600, reference="TR 2")
    assert await till.balance(BANK) == 0
    async with till.units.read() as work:
        assert first is not None
        assert (await acts.in_words(work, first)).detail == "2026-03: TR 1"

    await approve(till, first, theo)
    with pytest.raises(VatNotOwed):
        await approve(till, second, theo)

    assert await till.balance(BANK) == -600


@pytest.mark.parametrize(
    ("period", "reference", "cents", "field"),
    [
        ("2026-13", "TR", 1, "period"),
        ("2026-04", "TR", 1, "period"),
        ("2027", "TR", 1, "period"),
        ("spring", "TR", 1, "period"),
        ("2026-Q1", "  ", 1, "reference"),
        ("2026-Q1", "T" * 61, 1, "reference"),
        ("2026", "TR", 0, "amount"),
        ("2026", "TR", -1, "amount"),
    ],
)
async def test_a_payment_says_for_what_and_how_much(
    till: Till, period: str, reference: str, cents: int, field: str
) -> None:
    tess = await treasurer(till, "tess")
    await taxed(till)

    with pytest.raises(Invalid) as refusal:
        await paid(till, tess, cents, period=period, reference=reference)

    assert refusal.value.field == field


async def test_only_treasurers_record_and_undo(till: Till) -> None:
    (ada,) = await taxed(till)

    with pytest.raises(RoleMissing):
        await paid(till, ada, 100)


async def test_what_goes_back_after_its_vat_was_paid_over_is_the_offices_to_return(till: Till) -> None:
    tess = await treasurer(till, "tess")
    await till.endow()
    (ada,) = await taxed(till)
    await paid(till, tess, 467)

    await withdrawal.withdraw(till.units, till.gateway, account_id=ada.id, key=new_id().hex)

    async with till.units.read() as work:
        assert (await vat_payments.owed(work)).minor == -467
        (month,) = await vat_payments.months(work)
    assert (month.arose.minor, month.went_back.minor, month.due.minor) == (467, 467, 0)
    assert (await checked(till)).ok
    # The next year's VAT is owed less that.
    await taxed_again(till)
    with pytest.raises(VatNotOwed):
        await paid(till, tess, 1, reference="TR 2")


async def taxed_again(till: Till) -> None:
    await till.pay(await till.person("bo"))


async def test_the_journal_and_the_month_tell_of_it(till: Till) -> None:
    tess = await treasurer(till, "tess")
    await taxed(till)
    till.clock.advance(timedelta(days=40))
    await paid(till, tess, 467)

    out = io.StringIO()
    async with till.units.read() as work:
        await exports.journal_csv(work, out)
        totals = await ledger.trial_balance(work)

    lines = [line for line in out.getvalue().splitlines() if ",vat_payment," in line]
    assert [line.split(",")[-3:] for line in lines] == [
        ["Liabilities:VATPayable", "4.67", ""],
        ["Assets:Bank", "", "4.67"],
    ]
    assert all("VAT paid to the tax office for 2026-03, TR 1" in line for line in lines)
    assert totals[BANK].minor == -467


async def test_the_checks_name_what_else_moved_vat(till: Till) -> None:
    await taxed(till)
    async with till.units.open() as work:
        entry = await ledger.post(
            work,
            source="by-hand",
            external_id="1",
            description="Paid past the desk",
            postings=[ledger.debit(VAT_PAYABLE, Money(100)), ledger.credit(BANK, Money(100))],
        )
    (bad,) = [check for check in (await checked(till)).checks if not check.ok]
    assert bad.name == "vat_owed"
    assert str(entry.id) in bad.findings[0].found or "by-hand" in bad.findings[0].found
    async with till.units.open() as work:
        await ledger.reverse(work, entry.id, description="Undone")
