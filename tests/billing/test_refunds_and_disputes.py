from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from api.sandbox import Fault, Terms
from api.sandbox.objects import disputes as at_stripe
from coop.billing import disputes, reconciliation, refunds, withdrawal
from coop.billing.disputes import Dispute, NothingToSettle
from coop.billing.gateway import RefundState
from coop.billing.payments import Payment
from coop.billing.refunds import Refund, TooMuchBack
from coop.billing.withdrawal import TooLateToWithdraw
from coop.identity.accounts import Account
from coop.ledger import MEMBER_CREDIT, POOL
from coop.membership import obstacles
from coop.membership.obstacles import DisputeOpen
from coop.money import Money
from coop.networks import settlement
from tests.till import Till

DISPUTED = "4000000000000259"


async def withdraw(till: Till, account: Account, key: str | None = None) -> str:
    return await withdrawal.withdraw(till.units, till.gateway, account_id=account.id, key=key or uuid4().hex)


async def test_on_day_fourteen_everything_comes_back(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    till.clock.advance(timedelta(days=13, hours=23, minutes=59))

    await withdraw(till, ada)
    await till.sandbox.settle()

    assert await till.state(ada) == "none"
    # The fee of the charge is not given back by the processor: operations bears it.
    assert await till.books() == {"Stripe": -103, "Fees": 103}
    till.clock.advance(timedelta(days=400))
    await till.sandbox.settle()
    assert await till.count(Payment) == 1


async def test_on_day_fifteen_it_is_too_late(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)
    till.clock.advance(timedelta(days=14))

    with pytest.raises(TooLateToWithdraw):
        await withdraw(till, ada)

    assert await till.state(ada) == "active"


async def test_withdrawing_twice_gives_back_once(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)

    first = await withdraw(till, ada, "one-withdrawal")
    again = await withdraw(till, ada, "one-withdrawal")
    with pytest.raises(TooLateToWithdraw):
        await withdraw(till, ada)

    assert first == again
    assert await till.count(Refund) == 1


async def test_who_withdrew_can_join_again_the_same_day(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)
    await withdraw(till, ada)
    await till.sandbox.settle()

    await till.pay(ada)

    assert await till.state(ada) == "active"
    assert await till.count(Payment) == 2


async def test_a_surplus_that_was_given_on_comes_from_the_reserve(till: Till) -> None:
    await till.endow()
    ada, bob = await till.person(), await till.person("bob")
    await till.pay(ada, 7500)
    assert (await till.ask(bob)).state == "begun"
    carol = await till.person("carol")
    assert (await till.ask(carol, 500)).state == "offered"

    await withdraw(till, ada)
    await till.sandbox.settle()

    books = await till.books()
    # Of the 50.00 beyond the price, 25.00 began Bob's year and 20.00 is kept for Carol: 5.00 was free.
    assert (books.get("Pool", 0), books["Reserve"], books["DeferredDues"]) == (0, 5500, 2500)
    assert await till.state(bob) == "active"


async def test_a_sponsored_year_can_be_given_back_like_any_other(till: Till) -> None:
    await till.sponsor(2500)
    ada = await till.person()
    await till.ask(ada)

    await withdraw(till, ada)

    assert await till.state(ada) == "none"
    assert await till.balance(POOL) == 2500


@pytest.mark.parametrize("booked_before", [True, False])
async def test_withdrawing_a_renewal_in_grace_leaves_the_passed_months_to_the_reserve(
    till: Till, *, booked_before: bool
) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada)
    till.clock.advance(timedelta(days=365 + 40))
    assert await till.state(ada) == "grace"
    await till.pay(ada)
    if booked_before:
        await settlement.recognise_due(till.units)

    await withdraw(till, ada)
    await till.sandbox.settle()
    await settlement.recognise_due(till.units)

    # What the year before left is left again.
    assert await till.state(ada) == "grace"
    assert "DeferredDues" not in await till.books()


async def test_a_part_payer_gets_their_part_and_the_pool_its_own(till: Till) -> None:
    await till.sponsor(1500)
    ada = await till.person()
    await till.pay(ada, 1000)

    await withdraw(till, ada)
    await till.sandbox.settle()

    assert await till.balance(POOL) == 1500
    assert await till.count(Refund, Refund.amount == Money(1000), Refund.state == "sent") == 1


@pytest.mark.parametrize("later", [timedelta(minutes=5), timedelta(days=2)])
async def test_a_refund_whose_answer_was_lost_is_sent_once(till: Till, later: timedelta) -> None:
    ada = await till.person()
    await till.pay(ada)
    async with till.withheld():
        await till.sandbox.arm(Fault(kind="unanswered", match="/v1/refunds", times=2))
        await withdraw(till, ada)
        await till.sandbox.settle()
    assert await till.state(ada) == "none"
    assert await till.balance(MEMBER_CREDIT) == 2500

    till.clock.advance(later)
    await reconciliation.run(till.units, till.gateway)

    assert await till.balance(MEMBER_CREDIT) == 0
    assert len(await till.sandbox.run(lambda desk: desk.where("refund"))) == 1


async def test_a_refund_made_in_stripes_dashboard_is_found(till: Till) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada)
    async with till.withheld():
        async with till.units.read() as work:
            payment = (await work.session.scalars(Payment.__table__.select())).first()
            row = await work.session.get(Payment, payment)
        assert row is not None
        await till.gateway.refund(
            operation=uuid4(), age=timedelta(0), payment=row.gateway_id, amount=Money(700)
        )
        await till.sandbox.settle()

    await reconciliation.run(till.units, till.gateway)
    await reconciliation.run(till.units, till.gateway)

    books = await till.books()
    assert (books["Reserve"], books["Stripe"]) == (9300, 2397 - 700)
    assert await till.state(ada) == "active"


async def disputed(till: Till, account: Account, cents: int = 2500, **more: str) -> str:
    await till.endow()
    till.sandbox.terms = Terms(balance_delay=0, dispute_delay=60, delivery_delays=(60,))
    await till.pay(account, cents, card=DISPUTED, **more)  # type: ignore[arg-type]  # purposes are words
    till.clock.advance(timedelta(minutes=2))
    await till.sandbox.settle()
    rows = await till.sandbox.run(lambda desk: desk.where("dispute"))
    return str(rows[0]["id"])


async def test_a_dispute_is_booked_when_it_opens_and_the_year_runs_on(till: Till) -> None:
    ada = await till.person()
    await disputed(till, ada)

    assert await till.books() == {
        "Disputed": 2500,
        "DisputeFees": 1500,
        "Fees": 103,
        "Stripe": -1603,
        "DeferredDues": 2500,
        "Bank": 10_000,
        "Reserve": 10_000,
    }
    assert await till.state(ada) == "active"
    with pytest.raises(TooLateToWithdraw):
        await withdraw(till, ada)


@pytest.mark.parametrize("won", [True, False])
async def test_a_dispute_ends_on_the_reserve_or_back_with_us(till: Till, *, won: bool) -> None:
    ada = await till.person()
    name = await disputed(till, ada)

    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.get("dispute", name), won=won))
    await till.sandbox.settle()

    books = await till.books()
    assert "Disputed" not in books
    assert books["Reserve"] == (10_000 if won else 7500)
    assert books["Stripe"] == (2500 - 1603 if won else -1603)
    assert await till.count(Dispute, Dispute.state == ("won" if won else "lost")) == 1
    assert await till.state(ada) == "active"


async def test_while_a_dispute_is_open_no_new_year_begins(till: Till) -> None:
    ada = await till.person()
    await disputed(till, ada)
    till.clock.advance(timedelta(days=350))

    with pytest.raises(DisputeOpen):
        await till.begin(ada)


async def test_a_sponsors_dispute_takes_no_place_back(till: Till) -> None:
    grace, bob = await till.person("grace"), await till.person("bob")
    await till.ask(bob)
    name = await disputed(till, grace, purpose="sponsor")
    assert await till.state(bob) == "active"

    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.get("dispute", name), won=False))
    await till.sandbox.settle()

    assert await till.state(bob) == "active"
    assert (await till.books())["Reserve"] == 7500


async def test_with_every_webhook_lost_the_hourly_job_finds_it_all(till: Till) -> None:
    await till.endow()
    ada, bob = await till.person(), await till.person("bob")
    till.sandbox.terms = Terms(balance_delay=30, dispute_delay=60, delivery_delays=(60,))
    async with till.withheld():
        await till.enter(await till.begin(ada))
        await till.enter(await till.begin(bob), DISPUTED)
        till.clock.advance(timedelta(minutes=10))
        await till.sandbox.settle()

    assert "DeferredDues" not in await till.books()
    await reconciliation.run(till.units, till.gateway)

    assert (await till.state(ada), await till.state(bob)) == ("active", "active")
    books = await till.books()
    assert (books["DeferredDues"], books["Disputed"], books["Stripe"]) == (5000, 2500, 2397 - 1603)
    before = books
    await reconciliation.run(till.units, till.gateway)
    assert await till.books() == before


async def paid_by(till: Till, account: Account) -> Payment:
    async with till.units.read() as work:
        found = await work.session.scalars(
            select(Payment).where(Payment.account_id == account.id).order_by(Payment.received_at)
        )
        return found.all()[-1]


async def give_back(till: Till, account: Account, cents: int) -> None:
    async with till.units.open() as work:
        payment = await work.session.get_one(Payment, (await paid_by(till, account)).id)
        refund = await refunds.give_back(work, payment, Money(cents), reason="goodwill")
    await refunds.send(till.units, till.gateway, refund.id)


async def test_three_partial_refunds_above_the_charge_are_refused(till: Till) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada)
    await give_back(till, ada, 1000)
    await give_back(till, ada, 1000)

    with pytest.raises(TooMuchBack):
        await give_back(till, ada, 1000)
    with pytest.raises(IntegrityError):
        async with till.units.open() as work:
            await work.session.execute(update(Payment).values(refunded=Money(2501)))

    books = await till.books()
    # The year runs on and stays funded in full: the reserve bears what was given back.
    assert (books["DeferredDues"], books["Reserve"], books["Stripe"]) == (2500, 8000, 2397 - 2000)
    assert await till.state(ada) == "active"


async def test_a_partial_refund_of_a_surplus_payment_takes_the_surplus_first(till: Till) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada, 4000)

    await give_back(till, ada, 1000)
    books = await till.books()
    assert (books["Pool"], books["Reserve"], books["DeferredDues"]) == (500, 10_000, 2500)
    await give_back(till, ada, 1000)

    books = await till.books()
    assert (books.get("Pool", 0), books["Reserve"], books["DeferredDues"]) == (0, 9500, 2500)


async def test_after_a_part_was_given_back_withdrawing_gives_back_the_rest(till: Till) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada, 4000)
    await give_back(till, ada, 2000)

    await withdraw(till, ada)
    await till.sandbox.settle()

    books = await till.books()
    assert {name: books.get(name, 0) for name in ("Pool", "Reserve", "DeferredDues", "MemberCredit")} == {
        "Pool": 0,
        "Reserve": 10_000,
        "DeferredDues": 0,
        "MemberCredit": 0,
    }
    assert (await paid_by(till, ada)).refunded == Money(4000)


async def test_a_refund_then_a_dispute_are_both_booked(till: Till) -> None:
    ada = await till.person()
    name = await disputed(till, ada)
    # The bank's letter and a refund made in the dashboard before it cross: the dispute was heard of first.
    async with till.units.open() as work:
        told = RefundState(
            id="re_before_it",
            operation=None,
            payment=(await paid_by(till, ada)).gateway_id,
            status="succeeded",
            amount=Money(2500),
        )
        assert await refunds.apply(work, told)
        assert not await refunds.apply(work, told)

    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.get("dispute", name), won=False))
    await till.sandbox.settle()

    books = await till.books()
    assert (books["Reserve"], books["DeferredDues"]) == (10_000 - 2500 - 2500, 2500)
    assert "MemberCredit" not in books


async def test_a_refund_that_a_dispute_overtook_stays_with_us_until_the_bank_has_decided(till: Till) -> None:
    ada = await till.person()
    await till.endow()
    till.sandbox.terms = Terms(balance_delay=0, dispute_delay=60, delivery_delays=(60,))
    await till.pay(ada, card=DISPUTED)
    # Withdrawn, and the process dies before the processor is asked.
    async with till.units.open() as work:
        await withdrawal.give_back(work, ada.id)
    till.clock.advance(timedelta(minutes=2))
    await till.sandbox.settle()

    await refunds.send_due(till.units, till.gateway)

    assert await till.count(Refund, Refund.state == "failed") == 1
    assert await till.balance(MEMBER_CREDIT) == 2500
    rows = await till.sandbox.run(lambda desk: desk.where("dispute"))
    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.get("dispute", rows[0]["id"]), won=False))
    await till.sandbox.settle()
    books = await till.books()
    # Their bank has given them their money, once; ours is gone, and the reserve is whole.
    assert (books.get("MemberCredit", 0), books["Reserve"]) == (0, 10_000)


async def test_a_lost_dispute_keeps_a_new_year_from_beginning_until_it_is_settled(till: Till) -> None:
    ada = await till.person()
    name = await disputed(till, ada)
    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.get("dispute", name), won=False))
    await till.sandbox.settle()
    till.clock.advance(timedelta(days=350))
    with pytest.raises(DisputeOpen):
        await till.begin(ada)
    with pytest.raises(DisputeOpen):
        await till.ask(ada)

    async with till.units.open() as work:
        await disputes.settle(work, name, received=Money(2500))
    with pytest.raises(NothingToSettle):
        async with till.units.open() as work:
            await disputes.settle(work, name)

    await till.pay(ada)
    assert len(await till.terms_of(ada.id)) == 2
    assert (await till.books())["Reserve"] == 10_000


async def test_a_dispute_won_lets_a_new_year_begin(till: Till) -> None:
    ada = await till.person()
    name = await disputed(till, ada)
    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.get("dispute", name), won=True))
    await till.sandbox.settle()
    till.clock.advance(timedelta(days=350))

    assert (await till.begin(ada)).startswith("http")


async def test_a_dispute_stops_the_renewal(till: Till) -> None:
    ada = await till.person()
    await till.endow()
    till.sandbox.terms = Terms(balance_delay=0, dispute_delay=60, delivery_delays=(60,))
    await till.pay(ada, card=DISPUTED, automatic=True)
    till.clock.advance(timedelta(minutes=2))
    await till.sandbox.settle()

    await reconciliation.run(till.units, till.gateway)
    till.clock.advance(timedelta(days=370))
    await till.sandbox.settle()

    assert await till.count(Payment) == 1


async def test_who_has_a_dispute_to_settle_waits_in_the_queue_and_holds_up_nobody(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    name = await disputed(till, ada)
    till.clock.advance(timedelta(days=350))
    # As if the dispute had come after the request.
    async with till.units.open() as work:
        await obstacles.clear(work, f"dispute:{name}")
    await till.ask(ada)
    async with till.units.open() as work:
        await obstacles.put(work, ada.id, f"dispute:{name}")
    await till.ask(bob)

    await till.sponsor(2500)

    assert await till.state(bob) == "active"
    place = await till.place(ada)
    assert place is not None
    assert place.state == "queued"


async def test_a_dispute_after_a_network_was_paid_claws_nothing_back(till: Till) -> None:
    ada = await till.person()
    name = await disputed(till, ada)
    till.clock.advance(timedelta(days=40))
    await settlement.recognise_due(till.units)
    before = {key: value for key, value in (await till.books()).items() if key.startswith("Networks")}

    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.get("dispute", name), won=False))
    await till.sandbox.settle()

    books = await till.books()
    assert before
    assert {key: books[key] for key in before} == before
