from datetime import timedelta

import msgspec
import pytest

from api.sandbox import Fault, Terms, webhooks
from api.sandbox.desk import Desk
from api.sandbox.objects import payment_methods
from api.sandbox.objects.cards import CARDS
from coop.billing import reconciliation, sponsoring, subscriptions
from coop.billing.intents import AlreadyMonthly
from coop.billing.offline import transfers
from coop.billing.payments import Payment
from coop.billing.subscriptions import Subscription
from coop.identity.accounts import Account
from coop.ledger import POOL
from coop.money import Money
from coop.sponsorship import institutions
from coop.sponsorship.institutions import BadName, NoSuchInstitution
from tests.till import Till, hidden


async def months(till: Till, account: Account, cents: int = 500) -> None:
    """Begin to give each month."""
    await till.pay(account, cents, purpose="sponsor", automatic=True)


async def test_a_monthly_gift_goes_to_the_pool_each_month_until_it_is_stopped_in_two_clicks(
    till: Till,
) -> None:
    grace = await till.person("grace")
    async with till.visitor(grace) as page:
        form = await page.get("/sponsor")
        wish = {"key": hidden(form, "key"), "amount": "other", "other": "10", "often": "monthly"}
        hosted = await page.post("/sponsor", data=wish)
        await till.enter(hosted.headers["location"])
    for _ in range(2):
        till.clock.advance(timedelta(days=32))
        await till.sandbox.settle()
    assert await till.balance(POOL) == 3000
    async with till.visitor(grace) as page:
        shown = await page.get("/sponsor")
        assert "You gave $30: 1 year" in shown.text

        stopped = await page.post("/sponsor/stop", data={})
        assert "has stopped" in (await page.get(stopped.headers["location"])).text
    till.clock.advance(timedelta(days=62))
    await till.sandbox.settle()

    assert await till.balance(POOL) == 3000
    assert await till.count(Payment) == 3


async def test_a_monthly_gift_is_no_renewal_of_a_membership(till: Till) -> None:
    grace = await till.person("grace")
    await till.pay(grace)
    await months(till, grace)

    async with till.units.read() as work:
        assert await subscriptions.renewing(work, grace.id) is None
        assert await sponsoring.monthly(work, grace.id) is not None
    with pytest.raises(AlreadyMonthly):
        await till.begin(grace, 700, purpose="sponsor", automatic=True)


async def test_a_month_that_nobody_told_of_is_found_by_the_hourly_job(till: Till) -> None:
    grace = await till.person("grace")
    await months(till, grace)
    async with till.withheld():
        till.clock.advance(timedelta(days=32))
        await till.sandbox.settle()

    await reconciliation.run(till.units, till.gateway)

    assert await till.balance(POOL) == 1000


async def test_a_month_that_fails_is_told_once_and_owed_by_nobody(till: Till) -> None:
    grace = await till.person("grace")
    await months(till, grace)
    await till.sandbox.arm(Fault(kind="declined", times=1))

    till.clock.advance(timedelta(days=32))
    await till.sandbox.settle()
    await till.work()

    subjects = [letter.subject for letter in till.postbox.letters]
    assert subjects.count("Your monthly gift could not be charged") == 1
    assert await till.balance(POOL) == 500
    till.clock.advance(timedelta(days=5))
    await till.sandbox.settle()
    assert await till.balance(POOL) == 1000


async def test_a_disputed_month_is_the_last(till: Till) -> None:
    await till.endow()
    till.sandbox.terms = Terms(balance_delay=0, dispute_delay=60, delivery_delays=(60,))
    grace, bob = await till.person("grace"), await till.person("bob")
    await till.ask(bob)
    await till.pay(grace, 2500, purpose="sponsor", automatic=True, card="4000000000000259")
    till.clock.advance(timedelta(minutes=2))
    await till.sandbox.settle()

    assert await till.count(Subscription, Subscription.wish == "stop_now") == 1
    assert await till.state(bob) == "active"
    async with till.units.read() as work:
        assert not (await sponsoring.given_by(work, grace.id)).amount


async def test_an_organisation_is_named_by_its_own_choice_once_it_gave_and_was_seen(till: Till) -> None:
    grace = await till.person("grace")
    async with till.visitor(grace) as page, till.visitor() as visitor:
        await page.post("/sponsor/organisation", data={"name": "  Reading   Room ", "named": "yes"})
        assert "Reading Room" not in (await visitor.get("/sponsors")).text
        async with till.units.open() as work:
            await institutions.confirm(work, grace.id, actor=None, reason="Seen in the register")
        assert "Reading Room" not in (await visitor.get("/sponsors")).text
        await till.pay(grace, 10_000, purpose="sponsor")
        assert "Reading Room" in (await visitor.get("/sponsors")).text

        await page.post("/sponsor/organisation", data={"name": "A bigger name", "named": "yes"})
        assert "bigger" not in (await visitor.get("/sponsors")).text
        await page.post("/sponsor/organisation", data={"name": "Reading Room", "named": "no"})
    with pytest.raises(NoSuchInstitution):
        async with till.units.open() as work:
            await institutions.confirm(work, grace.id, actor=None, reason="Seen in the register")


async def test_an_organisation_finds_the_way_to_a_bank_transfer(till: Till) -> None:
    grace = await till.person("grace")
    async with till.visitor(grace) as page:
        assert "/sponsor/transfer" not in (await page.get("/sponsor/organisation")).text
        msgspec.structs.force_setattr(till.units.settings, "bank_account", "DE02 1203 0000 0000 2020 51")
        assert 'href="/sponsor/transfer"' in (await page.get("/sponsor/organisation")).text
        assert (await page.post("/sponsor/transfer", data={"amount": "500"})).status_code == 303

    async with till.units.read() as work:
        transfer = await transfers.current(work, grace.id, "sponsor")
    assert transfer is not None
    assert transfer.amount == Money(50_000)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\u202eb", "a\x00b"])
def test_a_name_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(BadName):
        institutions.checked(name)


async def test_a_month_whose_card_is_declined_twice_is_written_about_once_and_heard_of_twice(
    till: Till,
) -> None:
    grace = await till.person("grace")
    await months(till, grace)

    def fails_from_now(desk: Desk) -> None:
        (subscription,) = desk.where("subscription")
        (customer,) = desk.where("customer")
        method = payment_methods.make(desk, CARDS["4000000000000341"], {}, expiry=(12, 2060))
        payment_methods.attach(desk, method, customer)
        desk.save(subscription | {"default_payment_method": method["id"]})

    await till.sandbox.run(fails_from_now)
    for days in (32, 6, 6):
        till.clock.advance(timedelta(days=days))
        await till.sandbox.settle()
        await till.work()

    waiting = await till.sandbox.run(lambda desk: webhooks.ready(desk, most=500, everything=True))
    assert [delivery.body for delivery in waiting] == []
    written = [one for one in till.postbox.letters if "monthly gift could not be charged" in one.subject]
    assert len(written) == 1
