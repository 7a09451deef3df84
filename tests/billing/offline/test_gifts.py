from datetime import timedelta

import pytest
from sqlalchemy import select

from coop.billing.desk import acts
from coop.billing.desk.acts import Assign, Cash
from coop.billing.offline import transactions
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.errors import Invalid
from coop.money import Money
from coop.policies import Dues
from coop.sponsorship import returns
from coop.sponsorship.gifts import Gift
from tests.billing.offline.test_desk import BECAUSE, approve, stray, treasurer
from tests.billing.offline.test_matching import announce, brought_in
from tests.till import Till


async def given(till: Till) -> list[Gift]:
    async with till.units.read() as work:
        return list(await work.session.scalars(select(Gift).order_by(Gift.bought_at)))


async def test_a_gift_paid_by_transfer_can_be_taken_up_once_its_money_is_seen(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    transfer = await announce(till, ada, 1, purpose="gift")
    assert transfer.amount == Money(2500)
    assert await given(till) == []

    report = await brought_in(till, (transfer.reference, 2500))

    assert report.count() == {"exact": 1}
    assert await till.books() == {"Bank": 2500, "GiftsOutstanding": 2500}
    (gift,) = await given(till)
    assert await till.claim(bob, gift)
    assert await till.state(bob) == "active"
    assert await till.books() == {"Bank": 2500, "DeferredDues": 2500}


async def test_what_exceeds_the_price_of_a_gift_goes_to_the_pool(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada, purpose="gift")

    assert (await brought_in(till, (transfer.reference, 3000))).count() == {"over": 1}

    assert await till.books() == {"Bank": 3000, "GiftsOutstanding": 2500, "Pool": 500}


async def test_less_than_its_price_buys_no_gift_and_a_person_looks(till: Till) -> None:
    ada, tess = await till.person(), await treasurer(till, "tess")
    transfer = await announce(till, ada, purpose="gift")

    assert (await brought_in(till, (transfer.reference, 2000))).count() == {"gift_short": 1}

    assert await till.books() == {}
    async with till.units.open() as work:
        (found,) = await transactions.unmatched(work)
        act = Assign(transaction_id=found.id, account_id=ada.id, purpose="gift")
        with pytest.raises(Invalid, match="less than a gift"):
            await acts.decide(work, act, by=tess.id, reason=BECAUSE)


async def test_each_transfer_with_the_reference_buys_a_gift(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada, purpose="gift")

    await brought_in(till, (transfer.reference, 2500), (f"again {transfer.reference}", 2500))

    assert len(await given(till)) == 2
    assert await till.books() == {"Bank": 5000, "GiftsOutstanding": 5000}


async def test_an_announced_gift_keeps_its_price_and_a_late_one_has_that_of_the_day(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada, purpose="gift")
    await till.adopt(Dues, price=2700)

    assert (await brought_in(till, (transfer.reference, 2500))).count() == {"exact": 1}
    assert (await brought_in(till, (f"again {transfer.reference}", 2500))).count() == {"gift_short": 1}

    assert [gift.amount for gift in await given(till)] == [Money(2500)]


async def test_a_gift_that_its_giver_takes_back_is_sent_by_hand(till: Till) -> None:
    ada, tess = await till.person(), await treasurer(till, "tess")
    transfer = await announce(till, ada, purpose="gift")
    await brought_in(till, (transfer.reference, 2500))
    (gift,) = await given(till)

    await till.take_back(ada, gift)
    assert await till.books() == {"Bank": 2500, "MemberCredit": 2500}
    async with till.units.open() as work:
        refund = (await work.session.scalars(select(Refund.id))).one()
        await acts.paid_out(work, refund, by=tess.id)

    assert await till.books() == {}


async def test_a_gift_paid_by_transfer_returns_to_the_pool_in_time(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada, purpose="gift")
    await brought_in(till, (transfer.reference, 2500))
    till.clock.advance(timedelta(days=181))

    assert await returns.return_due(till.units) == 1

    assert await till.books() == {"Bank": 2500, "Pool": 2500}


async def test_treasurers_book_gifts_from_a_stray_credit_and_from_cash(till: Till) -> None:
    ada, tess, theo = await till.person(), await treasurer(till, "tess"), await treasurer(till, "theo")
    found = await stray(till)
    async with till.units.open() as work:
        act = Assign(transaction_id=found.id, account_id=ada.id, purpose="gift")
        await acts.decide(work, act, by=tess.id, reason=BECAUSE)
    async with till.units.open() as work:
        cash = Cash(account_id=ada.id, amount=2500, purpose="gift")
        proposal = await acts.decide(work, cash, by=tess.id, reason=BECAUSE)
    await approve(till, proposal, theo)

    assert len(await given(till)) == 2
    assert await till.count(Payment, Payment.purpose == "gift") == 2
    assert await till.books() == {"Bank": 2500, "Cash": 2500, "GiftsOutstanding": 5000}
