from datetime import timedelta

import pytest
from sqlalchemy import select

from coop.billing import withdrawal
from coop.billing.desk import acts
from coop.billing.desk.acts import Act, Assign, Cash, GiveBack, GiveToPool, NoSuchRefund, SendBack, SetAside
from coop.billing.offline import matching, statements, transactions
from coop.billing.offline.transactions import BankTransaction, NoSuchTransaction
from coop.billing.payments import Payment
from coop.billing.refunds import Refund, TooMuchBack
from coop.errors import Invalid
from coop.identity.accounts import Account
from coop.stewardship import audit, roles
from coop.stewardship.approvals import OwnProposal, Proposal, ProposalDecided
from coop.stewardship.roles import RoleMissing
from coop.unit_of_work import new_id
from tests.till import Till

BECAUSE = "She wrote to us"


async def treasurer(till: Till, handle: str) -> Account:
    account = await till.person(handle)
    async with till.units.open() as work:
        until = work.now + timedelta(days=365)
        await roles.grant(work, account.id, "treasurer", until=until, act="founding", reason="First one")
    return account


async def stray(till: Till, cents: int = 2500) -> BankTransaction:
    content = f"date,amount,text\n2026-03-05,{cents / 100:.2f},for Ada\n".encode()
    await matching.bring_in(till.units, statements.read(content, till.units.settings.money))
    async with till.units.read() as work:
        (found,) = await transactions.unmatched(work)
    return found


async def decide(till: Till, act: Act, by: Account) -> Proposal | None:
    async with till.units.open() as work:
        return await acts.decide(work, act, by=by.id, reason=BECAUSE)


async def approve(till: Till, proposal: Proposal | None, by: Account) -> None:
    assert proposal is not None
    async with till.units.open() as work:
        await acts.approve(work, proposal.id, by=by.id)


async def test_a_small_sum_is_assigned_by_one_with_a_reason_that_the_member_reads(till: Till) -> None:
    ada, tess = await till.person(), await treasurer(till, "tess")
    found = await stray(till)

    assert (
        await decide(till, Assign(transaction_id=found.id, account_id=ada.id, purpose="dues"), tess) is None
    )

    assert await till.state(ada) == "active"
    assert await till.books() == {"Bank": 2500, "DeferredDues": 2500}
    async with till.units.read() as work:
        assert [(entry.act, entry.reason) for entry in await audit.about(work, ada.id)] == [
            ("money.assign", BECAUSE)
        ]


async def test_a_large_sum_takes_two(till: Till) -> None:
    ada, tess, theo = await till.person(), await treasurer(till, "tess"), await treasurer(till, "theo")
    found = await stray(till, 10_001)
    proposal = await decide(till, Assign(transaction_id=found.id, account_id=ada.id, purpose="sponsor"), tess)
    assert await till.books() == {}

    with pytest.raises(OwnProposal):
        await approve(till, proposal, tess)
    await approve(till, proposal, theo)
    with pytest.raises(ProposalDecided):
        await approve(till, proposal, theo)

    assert await till.books() == {"Bank": 10_001, "Pool": 10_001}


async def test_cash_always_takes_two_and_pays_a_year(till: Till) -> None:
    ada, tess, theo = await till.person(), await treasurer(till, "tess"), await treasurer(till, "theo")

    proposal = await decide(till, Cash(account_id=ada.id, amount=3000, purpose="dues"), tess)
    assert await till.state(ada) == "none"
    await approve(till, proposal, theo)

    assert await till.state(ada) == "active"
    assert await till.books() == {"Cash": 3000, "DeferredDues": 2500, "Pool": 500}


async def test_a_stray_credit_goes_back_in_two_steps(till: Till) -> None:
    tess = await treasurer(till, "tess")
    found = await stray(till)

    await decide(till, SendBack(transaction_id=found.id), tess)
    assert await till.books() == {"Bank": 2500, "MemberCredit": 2500}
    async with till.units.open() as work:
        await acts.sent(work, found.id, by=tess.id)

    assert await till.books() == {}
    with pytest.raises(NoSuchTransaction):
        async with till.units.open() as work:
            await acts.sent(work, found.id, by=tess.id)


async def test_a_stranger_s_gift_reaches_the_pool(till: Till) -> None:
    tess = await treasurer(till, "tess")
    ada = await till.person()
    await till.ask(ada)
    found = await stray(till)

    await decide(till, GiveToPool(transaction_id=found.id), tess)

    assert await till.state(ada) == "active"


async def test_what_is_no_member_s_is_booked_elsewhere(till: Till) -> None:
    tess = await treasurer(till, "tess")
    found = await stray(till, 500_000)

    assert await decide(till, SetAside(transaction_id=found.id), tess) is None

    assert await till.books() == {}
    with pytest.raises(NoSuchTransaction):
        await decide(till, SendBack(transaction_id=found.id), tess)


async def test_only_treasurers_decide_and_only_about_people_who_are_there(till: Till) -> None:
    ada, tess = await till.person(), await treasurer(till, "tess")
    found = await stray(till)

    with pytest.raises(RoleMissing):
        await decide(till, SendBack(transaction_id=found.id), ada)
    with pytest.raises(Invalid):
        await decide(till, Assign(transaction_id=found.id, account_id=new_id(), purpose="dues"), tess)
    for cents in (0, -1):
        with pytest.raises(Invalid):
            await decide(till, Cash(account_id=ada.id, amount=cents, purpose="dues"), tess)

    assert await till.books() == {}


async def test_a_withdrawn_year_that_was_paid_by_bank_is_given_back_by_hand(till: Till) -> None:
    ada, tess = await till.person(), await treasurer(till, "tess")
    found = await stray(till)
    await decide(till, Assign(transaction_id=found.id, account_id=ada.id, purpose="dues"), tess)

    await withdrawal.withdraw(till.units, till.gateway, account_id=ada.id, key="withdraw-by-bank")

    assert await till.books() == {"Bank": 2500, "MemberCredit": 2500}
    async with till.units.open() as work:
        (refund,) = await work.session.scalars(select(Refund.id))
        await acts.paid_out(work, refund, by=tess.id)
    assert await till.books() == {}
    with pytest.raises(NoSuchRefund):
        async with till.units.open() as work:
            await acts.paid_out(work, refund, by=tess.id)


async def test_a_part_is_given_back_by_one_and_a_large_sum_by_two(till: Till) -> None:
    await till.endow()
    ada, tess, theo = await till.person(), await treasurer(till, "tess"), await treasurer(till, "theo")
    await till.pay(ada, 20_000, purpose="sponsor")
    async with till.units.read() as work:
        payment = await work.session.scalar(select(Payment.id))
    assert payment is not None

    assert await decide(till, GiveBack(payment_id=payment, amount=5000), tess) is None
    proposal = await decide(till, GiveBack(payment_id=payment, amount=15_000), tess)
    await approve(till, proposal, theo)
    with pytest.raises(TooMuchBack):
        await decide(till, GiveBack(payment_id=payment, amount=1), tess)

    assert await till.count(Refund, Refund.state == "intended") == 2
