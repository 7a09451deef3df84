from datetime import timedelta
from uuid import uuid4

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from api.sandbox import Fault
from coop import policies
from coop.billing import instalment_plans, instalments, reconciliation, renewals, subscriptions, withdrawal
from coop.billing.gateway import InvoiceState
from coop.billing.instalment_plans import (
    InstalmentPlan,
    InstalmentsNeedEmail,
    InstalmentsUnpaid,
    NoInstalments,
    part,
)
from coop.billing.intents import Checkout
from coop.billing.payments import Payment
from coop.billing.subscriptions import Subscription
from coop.clock import local_date
from coop.errors import Invalid
from coop.ledger import DEFERRED_DUES, INSTALMENTS_DUE, POOL, RESERVE
from coop.money import Money
from coop.networks import settlement
from coop.policies import Dues
from tests.billing.test_renewals import letters
from tests.till import Till

MONTH = timedelta(days=31, hours=3)
"""A little longer than March, since the processor bills within the hour."""


async def plan_of(till: Till) -> InstalmentPlan:
    async with till.units.read() as work:
        return (await work.session.scalars(select(InstalmentPlan))).one()


async def law(till: Till, **rules: object) -> None:
    async with till.units.open() as work:
        dues = await policies.latest(work, Dues)
        await policies.adopt(
            work,
            msgspec.structs.replace(dues.document, **rules),
            act=f"motion:{uuid4()}",
            effective_at=work.now,
            replaces=dues.hash,
        )


async def pass_time(till: Till, by: timedelta) -> None:
    """Let the processor charge what falls due meanwhile, and the jobs do what they would."""
    till.clock.advance(by)
    await subscriptions.carry_out_due(till.units, till.gateway)
    await till.sandbox.settle()
    await reconciliation.run(till.units, till.gateway)


@given(st.integers(min_value=1, max_value=1_000_000), st.sampled_from([2, 3, 4, 6, 12]))
def test_instalments_pay_the_dues_to_the_cent_and_none_falls_below_its_part(due: int, count: int) -> None:
    parts = [part(Money(due), count, nth + 1) - part(Money(due), count, nth) for nth in range(count)]

    assert sum(one.minor for one in parts) == due
    assert max(one.minor for one in parts) <= -(-due // count)
    assert max(parts) - min(parts) <= Money(1)


async def test_the_first_instalment_grants_the_whole_year(till: Till) -> None:
    ada = await till.person()

    await till.pay(ada, instalments=True)

    (term,) = await till.terms_of(ada.id)
    assert local_date(term.ends, till.units.settings.zone).year == 2027
    # 209 of which 208 are dues: twelve equal charges make 25.08.
    assert (await till.books()) | {"Stripe": 0, "Fees": 0} == {
        "InstalmentsDue": 2292,
        "DeferredDues": 2500,
        "Pool": 1,
        "Stripe": 0,
        "Fees": 0,
    }


async def test_twelve_charges_pay_the_year_and_end_by_themselves(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, instalments=True)
    await subscriptions.carry_out_due(till.units, till.gateway)
    assert await till.count(Subscription, Subscription.stops.is_(True)) == 1

    await pass_time(till, timedelta(days=500))

    plan = await plan_of(till)
    assert (plan.state, plan.paid) == ("paid", 12)
    assert await till.count(Payment, Payment.purpose == "instalment") == 12
    assert await till.count(Subscription, Subscription.status == "canceled") == 1
    assert (await till.balance(INSTALMENTS_DUE), await till.balance(POOL)) == (0, 8)
    assert len(await till.terms_of(ada.id)) == 1


async def test_quarterly_instalments_come_every_three_months(till: Till) -> None:
    await law(till, instalments=4)
    ada = await till.person()
    await till.pay(ada, instalments=True)

    await pass_time(till, 3 * MONTH)
    assert (await plan_of(till)).paid == 2
    await pass_time(till, 10 * MONTH)

    assert (await plan_of(till)).state == "paid"
    assert (await till.books())["DeferredDues"] == 2500


async def test_what_is_paid_above_the_price_reaches_the_pool_as_it_comes(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, 4000, instalments=True)
    assert (await till.balance(POOL), await till.balance(INSTALMENTS_DUE)) == (334 - 208, 2292)

    await pass_time(till, timedelta(days=400))

    assert (await till.balance(POOL), await till.balance(INSTALMENTS_DUE)) == (12 * 334 - 2500, 0)


async def test_the_pool_pays_its_part_at_the_start(till: Till) -> None:
    await till.sponsor(1000)
    await law(till, instalments=4)
    ada = await till.person()

    await till.pay(ada, 2000, instalments=True)

    assert (await till.balance(POOL), await till.balance(INSTALMENTS_DUE)) == (500, 1500)
    assert await till.balance(DEFERRED_DUES) == 2500


@pytest.mark.parametrize(
    ("cents", "automatic", "offered", "refusal"),
    [
        (2400, False, 0, NoInstalments),
        (2300, False, 12, NoInstalments),
        (2500, True, 12, Invalid),
    ],
)
async def test_what_cannot_be_paid_by_instalments_is_refused_before_anything_is_kept(
    till: Till,
    cents: int,
    automatic: bool,  # noqa: FBT001 - a table's column
    offered: int,
    refusal: type[Exception],
) -> None:
    await law(till, instalments=offered)
    ada = await till.person()

    with pytest.raises(refusal):
        await till.begin(ada, cents, automatic=automatic, instalments=True)

    assert await till.count(Checkout) == 0


async def test_instalments_need_an_address_to_warn_at(till: Till) -> None:
    with pytest.raises(InstalmentsNeedEmail):
        await till.begin(await till.person(verified=False), instalments=True)


async def test_a_charge_that_nobody_told_of_is_found(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, instalments=True)
    async with till.withheld():
        till.clock.advance(MONTH)
        await till.sandbox.settle()
    assert (await plan_of(till)).paid == 1

    await reconciliation.run(till.units, till.gateway)
    await reconciliation.run(till.units, till.gateway)

    assert (await plan_of(till)).paid == 2


async def test_an_instalment_heard_of_twenty_times_at_once_is_booked_once(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, instalments=True)
    async with till.withheld():
        till.clock.advance(MONTH)
        await till.sandbox.settle()
    (invoice, *_) = await till.gateway.list_invoices((await plan_of(till)).subscription)
    assert invoice.payment
    paid = await till.gateway.fetch_payment(invoice.payment)

    async def tell(heard: InvoiceState) -> None:
        async with till.units.open() as work:
            await renewals.apply(work, heard, paid)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(tell, invoice)

    assert (await plan_of(till)).paid == 2
    assert await till.count(Payment) == 2


async def test_a_failed_charge_is_told_of_and_the_next_try_pays_it(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, instalments=True)
    await till.sandbox.arm(Fault(kind="declined", times=1))

    await pass_time(till, MONTH)
    assert (await plan_of(till)).paid == 1
    assert await letters(till, "Your card was declined") == 1
    await pass_time(till, timedelta(days=4))

    assert (await plan_of(till)).paid == 2


async def test_a_default_falls_on_the_reserve_and_the_year_runs_on(till: Till) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada, instalments=True)
    await till.sandbox.arm(Fault(kind="declined", times=20))

    await pass_time(till, MONTH)
    await pass_time(till, timedelta(days=20))

    assert (await plan_of(till)).state == "defaulted"
    assert await till.balance(INSTALMENTS_DUE) == 0
    assert await till.balance(RESERVE) == 10_000 - 2292
    assert await till.state(ada) == "active"
    assert await letters(till, "Your instalments have ended") == 1
    with pytest.raises(InstalmentsUnpaid):
        async with till.units.open() as work:
            await instalment_plans.may_begin(work, ada)


async def test_money_that_comes_after_a_default_is_the_reserves(till: Till) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada, instalments=True)
    async with till.withheld():
        till.clock.advance(MONTH)
        await till.sandbox.settle()
    plan = await plan_of(till)
    async with till.units.open() as work:
        await instalments.default(work, plan.id)

    (invoice, *_) = await till.gateway.list_invoices(plan.subscription)
    assert invoice.payment
    state = await till.gateway.fetch_payment(invoice.payment)
    async with till.units.open() as work:
        await instalments.apply(work, plan, invoice, state)

    assert await till.balance(RESERVE) == 10_000 - 2292 + 208
    assert await till.balance(INSTALMENTS_DUE) == 0


async def test_withdrawing_returns_every_instalment_and_owes_none(till: Till) -> None:
    await till.endow()
    await law(till, withdrawal_days=40)
    ada = await till.person()
    await till.pay(ada, instalments=True)
    await pass_time(till, MONTH)
    assert (await plan_of(till)).paid == 2

    await withdrawal.withdraw(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)
    await pass_time(till, timedelta(days=400))
    await settlement.recognise_due(till.units)

    assert (await plan_of(till)).state == "ended"
    assert await till.count(Payment) == 2
    assert await till.state(ada) == "none"
    books = await till.books()
    assert books["Stripe"] == -books["Fees"]
    assert not books.keys() & {"InstalmentsDue", "DeferredDues", "MemberCredit", "Pool"}
    # The month that had passed was earned: the reserve bears it, and gets its own tenth of it.
    assert books["Reserve"] == 10_000 - 208 + 21


async def test_stopping_ends_the_year_with_the_months_that_are_paid(till: Till) -> None:
    await law(till, instalments=4)
    ada = await till.person()
    await till.pay(ada, instalments=True)
    (term,) = await till.terms_of(ada.id)
    await pass_time(till, timedelta(days=20))

    await withdrawal.stop(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)

    (term,) = await till.terms_of(ada.id)
    assert term.ended_early_at is not None
    assert local_date(term.ended_early_at, till.units.settings.zone).isoformat() == "2026-06-02"
    assert await till.state(ada) == "active"
    assert (await till.balance(DEFERRED_DUES), await till.balance(INSTALMENTS_DUE)) == (625, 0)
    await pass_time(till, timedelta(days=400))
    await settlement.recognise_due(till.units)
    assert await till.state(ada) == "none"
    assert await till.count(Payment) == 1
    assert await till.balance(DEFERRED_DUES) == 0


async def test_who_stopped_and_comes_back_gets_a_whole_year_after_what_was_paid(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, instalments=True)
    await withdrawal.stop(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)

    await till.pay(ada)

    first, second = await till.terms_of(ada.id)
    assert second.begins == first.ended_early_at
    assert second.ends - second.begins == timedelta(days=365)


async def test_the_pools_part_of_months_given_back_returns_to_it(till: Till) -> None:
    await till.sponsor(1000)
    await law(till, instalments=4)
    ada = await till.person()
    await till.pay(ada, 2000, instalments=True)

    await withdrawal.stop(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)

    # A quarter of its 5.00 was for the months that are paid.
    assert await till.balance(POOL) == 500 + 375
    assert (await till.balance(DEFERRED_DUES), await till.balance(INSTALMENTS_DUE)) == (625, 0)
