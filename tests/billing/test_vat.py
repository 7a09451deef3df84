from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from api.sandbox.objects import disputes as at_stripe
from coop import ledger, policies
from coop.billing import (
    disputes,
    instalment_plans,
    instalments,
    receipts,
    reconciliation,
    refunds,
    withdrawal,
)
from coop.billing.checks import vat as vat_checks
from coop.billing.disputes import Dispute
from coop.billing.offline import matching, transfers
from coop.billing.payments import Payment
from coop.identity.accounts import Account
from coop.ledger import VAT_PAYABLE, JournalEntry
from coop.membership import terms, vat
from coop.membership.terms import Term
from coop.membership.vat import Part, VatLine
from coop.money import ZERO, Money, vat_within
from coop.networks import settlement
from coop.policies import Dues
from coop.settings import BadSettings, Settings
from coop.sponsorship import gifts
from tests.membership.test_households import accept, invitation
from tests.till import Till

RATES = "2300 from 2020-01-01, 2000 from 2027-01-01"
DISPUTED = "4000000000000259"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, vat_rates=RATES, vat_number="PL5260001246")


@given(gross=st.integers(0, 10**9), rate=st.integers(1, 5000))
def test_net_and_vat_make_the_price_and_are_as_near_as_can_be(gross: int, rate: int) -> None:
    vat_ = vat_within(Money(gross), rate).minor

    assert 0 <= vat_ <= gross
    # Half up: the exact VAT lies in [vat - 1/2, vat + 1/2).
    exact_twice, whole = 2 * gross * rate, 10_000 + rate
    assert (2 * vat_ - 1) * whole <= exact_twice < (2 * vat_ + 1) * whole


@given(
    price=st.integers(100, 100_000),
    rate=st.integers(1, 5000),
    own=st.integers(0, 100_000),
    back=st.lists(st.integers(1, 50_000), max_size=8),
)
def test_parts_given_back_never_take_more_than_arose_and_all_of_them_just_that(
    price: int, rate: int, own: int, back: list[int]
) -> None:
    whole = Part(None, None, rate, Money(price), vat_within(Money(price), rate))
    arisen = whole.of(Money(min(own, price)))
    assert ZERO <= arisen.vat <= min(whole.vat, arisen.dues)

    standing, gone = arisen, ZERO
    for amount in [*back, price]:
        some = Money(min(amount, standing.dues.minor))
        if some:
            part = standing.of(some)
            gone += part.vat
            standing = Part(None, None, rate, standing.dues - some, standing.vat - part.vat)
            assert ZERO <= standing.vat <= standing.dues

    assert (gone, standing.dues, standing.vat) == (arisen.vat, ZERO, ZERO)


async def withdraw(till: Till, account: Account) -> None:
    await withdrawal.withdraw(till.units, till.gateway, account_id=account.id, key=uuid4().hex)
    await till.sandbox.settle()


async def payment_of(till: Till, account: Account) -> Payment:
    async with till.units.read() as work:
        return (
            await work.session.scalars(
                select(Payment).where(Payment.account_id == account.id).order_by(Payment.received_at.desc())
            )
        ).first() or pytest.fail("there is no payment")


async def give_back(till: Till, payment: Payment, cents: int) -> UUID:
    async with till.units.open() as work:
        one = await work.session.get_one(Payment, payment.id)
        refund = await refunds.give_back(work, one, Money(cents), reason="by a treasurer")
    await refunds.send_due(till.units, till.gateway)
    await till.sandbox.settle()
    return refund.id


async def paper(till: Till, account: Account) -> list[receipts.Document]:
    await receipts.issue_due(till.units)
    payment = await payment_of(till, account)
    async with till.units.read() as work:
        return [one.said for one in await receipts.find(work, payment.id)]


async def test_dues_paid_bear_vat_and_a_gift_beside_them_none(till: Till) -> None:
    ada = await till.person()

    await till.pay(ada, 4000)

    books = await till.books()
    # 25.00 at 23 % is 20.33 and 4.67; the 15.00 beyond are a gift to the pool.
    assert (books["DeferredDues"], books["VATPayable"], books["Pool"]) == (2033, 467, 1500)
    (said,) = await paper(till, ada)
    assert said.lines == (
        receipts.Line(what="dues", amount=2500),
        receipts.Line(what="to_pool", amount=1500),
    )
    assert said.taxes == (receipts.Tax(rate=2300, net=2033, vat=467, gross=2500),)
    assert said.vat_number == "PL5260001246"


async def test_only_the_net_is_earned_in_twelve_months_and_the_vat_stays(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)

    till.clock.advance(timedelta(days=366))
    await settlement.recognise_due(till.units)

    books = await till.books()
    assert "DeferredDues" not in books
    assert books["VATPayable"] == 467
    earned = sum(
        amount for name, amount in books.items() if name in {"Reserve", "Operations"} or "Networks" in name
    )
    assert earned == 2033


async def test_a_year_that_the_pool_pays_bears_vat_when_it_begins(till: Till) -> None:
    await till.sponsor(5000)
    assert await till.balance(VAT_PAYABLE) == 0
    ada, bo = await till.person(), await till.person("bo")

    assert (await till.ask(ada)).state == "begun"
    assert await till.balance(VAT_PAYABLE) == 467
    await till.pay(bo, 1000)

    assert await till.balance(VAT_PAYABLE) == 2 * 467
    (said,) = await paper(till, bo)
    # Her own 10.00 of the 25.00.
    assert said.taxes == (receipts.Tax(rate=2300, net=813, vat=187, gross=1000),)
    await withdraw(till, ada)
    await withdraw(till, bo)
    books = await till.books()
    assert ("VATPayable" in books, "DeferredDues" in books, books["Pool"]) == (False, False, 5000)


async def test_a_gift_bears_vat_once_its_year_begins(till: Till) -> None:
    await till.endow()
    ada, bo = await till.person(), await till.person("bo")
    await till.pay(ada, purpose="gift")
    assert await till.balance(VAT_PAYABLE) == 0
    async with till.units.read() as work:
        (gift,) = await gifts.given_by(work, ada.id)

    await till.claim(bo, gift)

    assert await till.balance(VAT_PAYABLE) == 467
    await give_back(till, await payment_of(till, ada), 2500)
    assert await till.balance(VAT_PAYABLE) == 0


async def test_parts_given_back_return_their_vat_and_credit_notes_say_so(till: Till) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada)
    payment = await payment_of(till, ada)
    before = (await till.books())["Reserve"]

    for cents in (1, 833, 833):
        await give_back(till, payment, cents)

    said = await paper(till, ada)
    taxes = sorted((one.taxes[0] for one in said[1:]), key=lambda tax: tax.gross)
    assert [(tax.gross, tax.net + tax.vat) for tax in taxes] == [(1, 1), (833, 833), (833, 833)]
    returned = sum(tax.vat for tax in taxes)
    books = await till.books()
    # Each line is rounded for itself.
    assert books["VATPayable"] == 467 - returned
    assert abs(books["VATPayable"] - vat_within(Money(2500 - 1667), 2300).minor) <= 1
    # The year runs on, funded in full; the reserve bears what was given back without the VAT.
    assert books["DeferredDues"] == 2033
    assert before - books["Reserve"] == 1667 - returned
    await withdraw(till, ada)
    books = await till.books()
    assert ("VATPayable" in books, "DeferredDues" in books, books["Reserve"]) == (False, False, before)


async def test_a_lost_dispute_returns_vat_and_one_made_good_bears_it_again(till: Till) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada, card=DISPUTED)
    await till.sandbox.settle()
    async with till.units.read() as work:
        dispute = await work.session.scalar(select(Dispute))
    assert dispute is not None
    assert await till.balance(VAT_PAYABLE) == 467
    reserve = (await till.books())["Reserve"]
    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.get("dispute", dispute.id), won=False))
    await till.sandbox.settle()

    books = await till.books()
    assert ("VATPayable" in books, books["DeferredDues"], books["Reserve"]) == (False, 2033, reserve - 2033)
    async with till.units.open() as work:
        await disputes.settle(work, dispute.id, received=Money(1250))
    books = await till.books()
    assert (books["VATPayable"], books["Reserve"]) == (234, reserve - 2033 + 1250 - 234)


async def test_instalments_bear_their_vat_as_they_come(till: Till) -> None:
    await till.sponsor(1500)
    await till.adopt(Dues, instalments=4, minimum_card=100)
    ada = await till.person()

    await till.pay(ada, 1000, instalments=True)

    books = await till.books()
    # The pool's 15.00 hold 2.80 at once; of the 1.87 in the instalments a quarter has come.
    assert (books["VATPayable"], books["InstalmentsDue"]) == (280 + 46, 750)
    assert books["DeferredDues"] == 2500 - 326
    till.clock.advance(timedelta(days=366))
    await till.sandbox.settle()
    await reconciliation.run(till.units, till.gateway)
    await settlement.recognise_due(till.units)
    books = await till.books()
    assert (books["VATPayable"], "DeferredDues" in books, "InstalmentsDue" in books) == (467, False, False)


@pytest.mark.parametrize("defaulted", [False, True])
async def test_a_withdrawal_or_default_of_instalments_leaves_no_vat_that_never_came(
    till: Till, *, defaulted: bool
) -> None:
    await till.endow()
    await till.adopt(Dues, instalments=4, minimum_card=100)
    ada = await till.person()
    await till.pay(ada, instalments=True)
    async with till.units.read() as work:
        (plan,) = await instalment_plans.of_account(work, ada.id)
    if defaulted:
        async with till.units.open() as work:
            await instalments.default(work, plan.id)
        books = await till.books()
        # 18.75 do not come, 3.51 of them would have been VAT.
        assert (books["VATPayable"], books["Reserve"]) == (116, 10_000 - 1875 + 351)
        assert books["DeferredDues"] == 2033

    await withdraw(till, ada)

    books = await till.books()
    assert not books.keys() & {"VATPayable", "DeferredDues", "InstalmentsDue", "MemberCredit", "Pool"}
    assert books["Reserve"] == 10_000


async def test_who_stops_instalments_owes_vat_for_the_months_that_were_paid(till: Till) -> None:
    await till.sponsor(1500)
    await till.adopt(Dues, instalments=4, minimum_card=100)
    ada = await till.person()
    await till.pay(ada, 1000, instalments=True)

    await withdrawal.stop(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)

    books = await till.books()
    # A quarter of the year: 6.25, of which 1.16 or, to the nearest cent of either part, 1.16.
    assert books["DeferredDues"] + books["VATPayable"] + books["Pool"] == 250 + 1500
    assert books["VATPayable"] == 116
    assert books["DeferredDues"] == 2033 * 3 // 12
    till.clock.advance(timedelta(days=366))
    await settlement.recognise_due(till.units)
    assert "DeferredDues" not in await till.books()


async def test_each_year_of_a_household_has_its_own_vat(till: Till) -> None:
    await till.endow()
    ada, bob = await till.person(), await till.person("bob")
    await accept(till.units, bob, await invitation(till.units, ada))
    await till.pay(ada, 3000, purpose="household")
    assert await till.balance(VAT_PAYABLE) == 2 * 467
    (said,) = await paper(till, ada)
    assert said.taxes == (receipts.Tax(rate=2300, net=4066, vat=934, gross=5000),)

    # Of 60.00, 10.00 went to the pool: they go back first.
    await give_back(till, await payment_of(till, ada), 1000 + 15)

    assert await till.balance(VAT_PAYABLE) == 2 * 467 - 3
    await withdraw(till, bob)
    books = await till.books()
    assert books["DeferredDues"] == 2033
    assert books["VATPayable"] in {467, 467 - 3}


async def test_a_household_and_a_gift_by_bank_transfer_bear_vat_as_by_card(till: Till) -> None:
    msgspec.structs.force_setattr(till.units.settings, "bank_account", "US64 0000 1234")
    ada, bob, eve = [await till.person(name) for name in ("ada", "bob", "eve")]
    await accept(till.units, bob, await invitation(till.units, ada))
    async with till.units.open() as work:
        for purpose in ("household", "gift"):
            transfer = await transfers.announce(work, ada.id, Money(2500), purpose=purpose)
            assert transfer is not None
            await matching.receive(
                work,
                account_id=ada.id,
                amount=transfer.amount,
                purpose=purpose,
                method="bank",
                external_id=f"bank:{purpose}",
                transfer=transfer,
            )
    assert await till.balance(VAT_PAYABLE) == 2 * 467
    async with till.units.read() as work:
        (gift,) = await gifts.given_by(work, ada.id)
    await till.claim(eve, gift)
    assert await till.balance(VAT_PAYABLE) == 3 * 467

    async with till.units.open() as work:
        payment = (await work.session.scalars(select(Payment).where(Payment.purpose == "household"))).one()
        receipt = (await receipts.of_payment(work, payment)).said
    assert (receipt.method, [(tax.rate, tax.gross) for tax in receipt.taxes]) == ("bank", [(2300, 5000)])


async def test_a_cent_of_dues_bears_no_vat_and_the_pool_bears_it_all(till: Till) -> None:
    await till.sponsor(2499)
    ada = await till.person()

    async with till.units.open() as work:
        await matching.receive(
            work,
            account_id=ada.id,
            amount=Money(1),
            purpose="dues",
            method="cash",
            external_id="cash:a-cent",
        )
    await till.work()

    books = await till.books()
    assert (books["DeferredDues"], books["VATPayable"], "Pool" in books) == (2033, 467, False)
    async with till.units.read() as work:
        lines = {line.payment_id is None: line for line in await work.session.scalars(select(VatLine))}
    assert (lines[False].dues, lines[False].vat) == (Money(1), ZERO)
    assert (lines[True].dues, lines[True].vat) == (Money(2499), Money(467))


async def test_the_rate_of_the_day_of_payment_holds_not_that_of_the_order(till: Till) -> None:
    till.clock.advance(datetime(2026, 12, 31, 23, 50, tzinfo=UTC) - till.clock.wall())
    ada, bo = await till.person(), await till.person("bo")
    await till.pay(bo)
    url = await till.begin(ada)
    till.clock.advance(timedelta(minutes=20))

    await till.enter(url)
    await till.sandbox.settle()

    # 25.00 at 20 % hold 4.17, and Bo's at 23 % still 4.67.
    assert await till.balance(VAT_PAYABLE) == 417 + 467
    (said,) = await paper(till, ada)
    assert [(tax.rate, tax.vat) for tax in said.taxes] == [(2000, 417)]


async def test_a_year_from_leap_day_on_earns_its_net_to_the_cent(till: Till) -> None:
    till.clock.advance(datetime(2028, 2, 29, 9, 0, tzinfo=UTC) - till.clock.wall())
    ada = await till.person()
    await till.pay(ada)
    (term,) = await till.terms_of(ada.id)

    for _ in range(12):
        till.clock.advance(timedelta(days=31))
        await settlement.recognise_due(till.units)

    books = await till.books()
    assert (term.vat_rate, books["VATPayable"], "DeferredDues" in books) == (2000, 417, False)


async def test_the_database_keeps_lines_of_vat_and_never_gives_back_more_than_arose(till: Till) -> None:
    await till.pay(await till.person())
    async with till.units.read() as work:
        (line,) = await work.session.scalars(select(VatLine))
    for statement in (
        update(VatLine).where(VatLine.id == line.id).values(vat=Money(1)),
        delete(VatLine).where(VatLine.id == line.id),
    ):
        with pytest.raises(IntegrityError):
            async with till.units.open() as work:
                await work.session.execute(statement)
    part = Part(line.term_id, line.payment_id, line.rate, Money(2500), Money(466))
    async with till.units.open() as work:
        entry = await work.session.get_one(JournalEntry, line.entry_id)
        with pytest.raises(IntegrityError, match="no more VAT"):
            async with work.session.begin_nested():
                await vat.went_back(work, entry, [part, part.of(Money(1))])
    with pytest.raises(IntegrityError):
        async with till.units.open() as work:
            await work.session.execute(update(Term).values(vat_rate=0))


async def test_the_checks_see_a_year_without_its_vat(till: Till) -> None:
    await till.pay(await till.person())
    bo = await till.person("bo")
    async with till.units.open() as work:

        async def found() -> tuple[bool, bool]:
            return (await vat_checks.vat_lines(work)).ok, (await vat_checks.vat_of_years(work)).ok

        assert await found() == (True, True)
        term = await terms.begin(work, bo.id, dues=await policies.in_force(work, Dues))
        assert await found() == (True, False)
        await vat.due(work, term, paid={}, person=term.account_id)
        assert await found() == (True, True)
        await ledger.post(
            work,
            source="refund",
            external_id="crooked",
            description="VAT that no line tells of",
            postings=[ledger.debit(VAT_PAYABLE, Money(1)), ledger.credit(ledger.BANK, Money(1))],
        )
        assert await found() == (False, True)
        await work.session.rollback()


@pytest.mark.parametrize(
    "text",
    [
        "23",
        "23.5 from 2027-01-01",
        "9000 from 2027-01-01",
        "1 from 2027-13-01",
        "1 from 2027-02-01, 2 from 2027-01-01",
    ],
)
def test_rates_that_cannot_be_read_with_certainty_are_refused(text: str) -> None:
    with pytest.raises(BadSettings):
        Settings(demo=True, vat_rates=text)


def test_a_rate_holds_from_its_day_on() -> None:
    settings = Settings(demo=True, vat_rates=RATES)
    days = [date(2019, 12, 31), date(2020, 1, 1), date(2026, 12, 31), date(2027, 1, 1)]

    assert [settings.vat_rate(day) for day in days] == [0, 2300, 2300, 2000]
    assert Settings(demo=True).vat_rate(days[-1]) == 0
