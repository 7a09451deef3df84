from datetime import timedelta
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select

from api.sandbox import Fault
from api.sandbox.problems import Doc
from coop.billing import cards, reconciliation
from coop.billing.cards import CardVisit
from coop.billing.payments import Payment
from coop.identity.accounts import Account
from tests.billing.test_instalments import MONTH, pass_time, plan_of
from tests.till import Till

MASTERCARD = "5555555555554444"


async def leave(till: Till, account: Account, card: str = MASTERCARD) -> UUID:
    """Leave a card on the processor's page, and close the browser there."""
    url = await cards.begin(
        till.units, till.gateway, account_id=account.id, next_path="/account/card", key=uuid4().hex
    )
    await till.enter(url, card)
    async with till.units.read() as work:
        visits = await work.session.scalars(select(CardVisit).order_by(CardVisit.begun_at.desc()))
        return visits.all()[0].id


async def test_another_card_pays_at_once_what_the_old_one_could_not(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await till.sandbox.arm(Fault(kind="declined", times=1))
    till.clock.advance(timedelta(days=366))
    await till.sandbox.settle()
    assert await till.state(ada) == "grace"

    visit = await leave(till, ada)
    done = await cards.settle(till.units, till.gateway, visit)
    await till.sandbox.settle()

    assert done is not None
    assert done.state == "used"
    first, second = await till.terms_of(ada.id)
    assert second.begins == first.ends
    assert await till.count(Payment) == 2


async def test_one_change_of_card_serves_everything_that_is_charged_by_itself(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    visit = await leave(till, ada)

    await cards.settle(till.units, till.gateway, visit)
    await cards.settle(till.units, till.gateway, visit)

    async with till.units.read() as work:
        customer = await cards.customer_of(work, ada.id)
    assert customer is not None
    face = await till.gateway.cards.face(customer)
    assert face is not None
    assert (face.brand, face.last4) == ("mastercard", "4444")
    rows = await till.sandbox.run(lambda desk: desk.where("subscription", customer=customer))
    known = await till.sandbox.run(lambda desk: desk.get("customer", customer))
    assert {row["default_payment_method"] for row in rows} == {
        known["invoice_settings"]["default_payment_method"]
    }


async def test_a_card_left_behind_by_a_closed_browser_is_taken_up_by_the_job(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await leave(till, ada)
    till.clock.advance(timedelta(minutes=5))

    await cards.settle_due(till.units, till.gateway)

    assert await till.count(CardVisit, CardVisit.state == "used") == 1


async def test_a_page_that_nobody_filled_in_expires_and_changes_nothing(till: Till) -> None:
    ada = await till.person()
    await cards.begin(till.units, till.gateway, account_id=ada.id, next_path="/account/card", key=uuid4().hex)
    till.clock.advance(timedelta(days=1))
    await till.sandbox.settle()

    await cards.settle_due(till.units, till.gateway)

    assert await till.count(CardVisit, CardVisit.state == "expired") == 1
    assert await till.books() == {}


async def test_who_waits_in_the_queue_may_leave_a_card_and_is_charged_nothing(till: Till) -> None:
    ada = await till.person()
    assert await till.begin(ada, 1000) == "/place"

    await cards.settle(till.units, till.gateway, await leave(till, ada))
    assert await till.books() == {}
    await till.sponsor(1500)
    await till.pay(ada, 1000, automatic=True)

    # The same customer, so that the card they left is offered on the payment page and one change serves all.
    sessions = await till.sandbox.run(lambda desk: desk.where("checkout.session", mode="subscription"))
    async with till.units.read() as work:
        assert {row["customer"] for row in sessions} == {await cards.customer_of(work, ada.id)}
    await reconciliation.run(till.units, till.gateway)
    assert await till.state(ada) == "active"


async def test_the_page_shows_the_card_and_leads_to_the_processors(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    await till.pay(ada, automatic=True)
    async with till.visitor(ada) as page:
        shown = await page.get("/account/card")
        led = await page.post("/account/card", data={"key": uuid4().hex, "next": ""})
        await till.enter(led.headers["location"], MASTERCARD)
        back = await back_from(till, page)
        changed = await page.get(back.headers["location"])
    async with till.visitor(bob) as page:
        strange = await back_from(till, page)

    assert "4242" in shown.text
    assert back.headers["location"] == "/account/card?done=1"
    assert "4444" in changed.text
    assert strange.headers["location"] == "/account/card"


async def back_from(till: Till, page: httpx.AsyncClient) -> httpx.Response:
    async with till.units.read() as work:
        visit = (await work.session.scalars(select(CardVisit))).one()
    return await page.get(f"/account/card/return?visit={visit.id}")


async def test_a_changed_card_pays_instalments_and_monthly_gifts_too(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, instalments=True)
    await till.pay(ada, 500, purpose="sponsor", automatic=True)
    await till.pay(await till.person("bob"), automatic=True)

    await cards.settle(till.units, till.gateway, await leave(till, ada))
    before = {one["id"] for one in await charges(till)}
    await pass_time(till, MONTH)

    new = [one for one in await charges(till) if one["id"] not in before]
    assert sorted(one["amount"] for one in new) == [209, 500]
    assert {one["payment_method_details"]["card"]["last4"] for one in new} == {MASTERCARD[-4:]}
    assert await till.count(Payment, Payment.purpose == "instalment") == 2


async def test_an_instalment_that_the_old_card_could_not_pay_is_paid_by_the_new_one_at_once(
    till: Till,
) -> None:
    ada = await till.person()
    await till.pay(ada, instalments=True)
    await till.sandbox.arm(Fault(kind="declined", times=1))
    await pass_time(till, MONTH)
    assert await till.count(Payment) == 1

    await cards.settle(till.units, till.gateway, await leave(till, ada))
    await till.sandbox.settle()

    assert await till.count(Payment, Payment.purpose == "instalment") == 2
    plan = await plan_of(till)
    assert (plan.state, plan.paid) == ("running", 2)


async def charges(till: Till) -> list[Doc]:
    """Return what was charged to cards."""
    return await till.sandbox.run(lambda desk: desk.where("charge", status="succeeded"))
