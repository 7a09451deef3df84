"""What somebody does by hand in Stripe's dashboard, and what nobody told us of, is found."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import jsonschema
import pytest
import stripe
from anyio import to_thread
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from api.sandbox.objects import balance as at_stripe
from coop import ledger
from coop.billing import reconciliation
from coop.billing.gateway import GatewayAway
from coop.billing.payments import Payment
from coop.billing.reconciliation import differences, runs, streams
from coop.billing.reconciliation.differences import Difference, Found
from coop.billing.reconciliation.streams import Stream
from coop.billing.reconciliation.tally import Tally
from coop.billing.refunds import Refund
from coop.billing.seen import StripeEvent
from coop.billing.subscriptions import Subscription
from coop.cli.doctor import look_at_reconciliation
from coop.clock import FixedClock
from coop.database import insert_once
from coop.errors import Invalid
from coop.identity.accounts import Account
from coop.ledger import BANK, DISPUTE_FEES, DISPUTED, FEES, MEMBER_CREDIT, RESERVE, STRIPE, Posting
from coop.money import ZERO, Money
from coop.stewardship import approvals, roles
from coop.unit_of_work import UnitOfWork, Units, new_id
from tests import demo
from tests.billing.test_refunds_and_disputes import disputed
from tests.demo import ROOT
from tests.people import register
from tests.till import Till

if TYPE_CHECKING:
    pass

SCHEMA = ROOT / "docs" / "schemas" / "reconciliation.schema.json"


@pytest.fixture
async def dashboard(till: Till) -> AsyncIterator[stripe.StripeClient]:
    """Give the hand that works at Stripe itself, past this program."""
    http = stripe.AIOHTTPClient()
    settings = till.units.settings
    yield stripe.StripeClient(
        settings.stripe_secret_key, base_addresses={"api": settings.stripe_api_base}, http_client=http
    )
    await http.close_async()  # type: ignore[no-untyped-call]  # the library leaves it bare


async def found(till: Till) -> list[Difference]:
    async with till.units.read() as work:
        return list(await differences.listed(work))


async def kinds(till: Till) -> list[str]:
    return sorted(one.kind for one in await found(till))


async def run(till: Till) -> reconciliation.Report:
    return await reconciliation.run(till.units, till.gateway, thorough=True)


async def renewing(till: Till, handle: str = "ada", cents: int = 2500) -> tuple[Account, Subscription]:
    person = await till.person(handle)
    await till.pay(person, cents, automatic=True)
    async with till.units.read() as work:
        row = await work.session.scalar(select(Subscription).where(Subscription.account_id == person.id))
    assert row is not None
    return person, row


async def charged(
    dashboard: stripe.StripeClient, cents: int = 1000, card: str = "pm_card_visa"
) -> stripe.PaymentIntent:
    return await dashboard.v1.payment_intents.create_async(
        {
            "amount": cents,
            "currency": "usd",
            "payment_method": card,
            "payment_method_types": ["card"],
            "confirm": True,
        }
    )


async def treasurers(units: Units) -> tuple[UUID, UUID]:
    people = [await register(units, name) for name in ("tess", "theo")]
    async with units.open() as work:
        for person in people:
            await roles.grant(
                work,
                person.id,
                "treasurer",
                until=work.now + timedelta(days=300),
                act="founding",
                reason="a test",
            )
    return people[0].id, people[1].id


async def test_where_nothing_differs_nothing_is_found(till: Till) -> None:
    await renewing(till)

    first = await run(till)
    again = await run(till)

    assert first.ok
    assert again.ok
    assert (first.open, again.healed, again.opened) == (0, 0, 0)
    assert first.looked >= 3  # its events, its movement, its subscription


async def test_a_lost_webhook_heals_and_its_late_twin_does_nothing(till: Till) -> None:
    ada = await till.person()
    async with till.withheld() as sink:
        await till.enter(await till.begin(ada))
        await till.sandbox.settle()

    report = await run(till)

    assert report.ok
    assert ("checkout.session.completed") in {what for what, _ in report.names}
    assert await till.state(ada) == "active"
    before, events = await till.books(), await till.count(StripeEvent)
    for body, signature in zip(sink.bodies, sink.signatures, strict=True):
        assert (await till.told(body, signature)).status_code == 200
    assert await till.books() == before
    assert await till.count(Payment) == 1
    assert events


async def test_runs_at_once_beside_late_webhooks_heal_once(till: Till) -> None:
    ada, grace = await till.person(), await till.person("grace")
    async with till.withheld() as sink:
        await till.enter(await till.begin(ada))
        await till.enter(await till.begin(grace, 4000))
        await till.sandbox.settle()
    late = zip(sink.bodies, sink.signatures, strict=True)

    reports = await asyncio.gather(*(run(till) for _ in range(4)), *(till.told(*event) for event in late))

    # Whoever lost a race to the same row has nothing left to do there the next time.
    last = await run(till)
    assert last.ok
    assert (last.healed, last.opened) == (0, 0)
    assert await found(till) == []
    assert [one.status_code for one in reports if isinstance(one, httpx.Response)] == [200] * len(sink.bodies)
    assert await till.count(Payment) == 2
    assert [len(await till.terms_of(person.id)) for person in (ada, grace)] == [1, 1]


async def test_what_moved_money_by_hand_is_named_and_its_entry_proposed(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    intent = await charged(dashboard)
    await dashboard.v1.refunds.create_async({"payment_intent": intent.id})
    await charged(dashboard, 2000, "pm_card_createDispute")
    till.clock.advance(timedelta(minutes=5))
    await till.sandbox.settle()
    await moved(till, "reserve_transaction", -300)
    await moved(till, "charge", 900, currency="eur")

    report = await run(till)

    entries = {
        (one.kind, one.at_stripe and one.at_stripe.minor): [(p.account, p.amount.minor) for p in one.postings]
        for one in await found(till)
    }
    assert entries == {
        ("foreign_charge", 941): [(STRIPE, 941), (FEES, 59), (MEMBER_CREDIT, -1000)],
        ("refund_unbooked", -1000): [(STRIPE, -1000), (MEMBER_CREDIT, 1000)],
        ("foreign_charge", 1912): [(STRIPE, 1912), (FEES, 88), (MEMBER_CREDIT, -2000)],
        ("dispute_unbooked", -3500): [(STRIPE, -3500), (DISPUTE_FEES, 1500), (DISPUTED, 2000)],
        ("movement_unbooked", -300): [(STRIPE, -300), (RESERVE, 300)],
        ("foreign_currency", 900): [],
    }
    first = next(one for one in await found(till) if one.at_stripe == Money(941))
    assert (first.says["source"][:3], first.says["payment"]) == ("ch_", intent.id)
    # Nothing was booked, and nothing is found twice; the balance is explained by what is open.
    assert await till.books() == {}
    again = await run(till)
    assert (report.opened, again.opened, again.open, again.healed) == (6, 0, 6, 0)


async def test_a_payout_to_the_bank_and_stripes_own_fees_are_booked(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    await till.pay(await till.person())
    till.clock.advance(timedelta(days=8))
    await dashboard.v1.payouts.create_async({"amount": 2000, "currency": "usd"})
    await moved(till, "stripe_fee", -12)

    report = await run(till)

    assert report.ok
    assert (await till.balance(BANK), await till.balance(STRIPE)) == (2000, 2397 - 2012)
    assert await till.balance(FEES) == 103 + 12
    assert (await run(till)).healed == 0


async def moved(till: Till, kind: str, cents: int, currency: str = "usd") -> None:
    """Have Stripe move money for a reason of its own."""
    source = {"id": f"src_{kind}", "object": "charge", "currency": currency}
    await till.sandbox.run(lambda desk: at_stripe.book(desk, kind, source, cents, at_once=True))


async def test_two_treasurers_settle_a_difference_and_it_stays_settled(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    tess, theo = await treasurers(till.units)
    await charged(dashboard)
    await till.sandbox.settle()
    await run(till)
    (one,) = await found(till)

    async with till.units.open() as work:
        proposal = await differences.propose(work, one.id, tess, reason="a T-shirt, to be given back")
    with pytest.raises(approvals.OwnProposal):
        async with till.units.open() as work:
            await differences.settle(work, proposal.id, tess)
    async with till.units.open() as work:
        settled = await differences.settle(work, proposal.id, theo)

    assert (settled.state, settled.proposal_id) == ("settled", proposal.id)
    assert await till.books() == {"Stripe": 941, "Fees": 59, "MemberCredit": 1000}
    report = await run(till)
    assert report.ok


async def test_a_proposal_about_a_difference_that_has_changed_is_void(units: Units) -> None:
    tess, theo = await treasurers(units)
    async with units.open() as work:
        await differences.note(work, balance(work, 500))
    async with units.open() as work:
        (one,) = await differences.listed(work)
        proposal = await differences.propose(work, one.id, tess, reason="what was there before")
        await differences.note(work, balance(work, 700))

    with pytest.raises(differences.DifferenceChanged):
        async with units.open() as work:
            await differences.settle(work, proposal.id, theo)


def balance(work: UnitOfWork, cents: int) -> Found:
    return Found(
        kind="balance",
        object_id="balance",
        since=work.now,
        at_stripe=Money(cents),
        in_books=ZERO,
        proposed=(Posting(STRIPE, Money(cents)), Posting(RESERVE, Money(-cents))),
    )


@pytest.mark.parametrize(
    "postings",
    [
        [],
        [Posting(BANK, Money(5)), Posting(RESERVE, Money(-5))],
        [Posting(STRIPE, Money(500)), Posting(RESERVE, Money(-400))],
    ],
)
async def test_an_entry_that_would_not_settle_it_is_refused(
    units: Units, postings: Sequence[Posting]
) -> None:
    async with units.open() as work:
        await differences.note(work, balance(work, 500))
        (one,) = await differences.listed(work)

        with pytest.raises(Invalid):
            await differences.propose(work, one.id, new_id(), reason="because", postings=postings)


async def test_a_refund_that_the_books_cannot_take_is_named_and_heals_once_they_can(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada)
    async with till.units.open() as work:
        # As if an earlier refund were on its way already.
        await work.session.execute(update(Payment).values(refunded=Money(2000)))
        payment = await work.session.scalar(select(Payment.gateway_id))
    async with till.withheld():
        await dashboard.v1.refunds.create_async({"payment_intent": str(payment), "amount": 700})
        await till.sandbox.settle()

    await run(till)

    (one,) = await found(till)
    assert (one.kind, one.at_stripe) == ("refund_unbooked", Money(-700))
    assert one.postings == (Posting(STRIPE, Money(-700)), Posting(RESERVE, Money(700)))
    async with till.units.open() as work:
        await work.session.execute(update(Payment).values(refunded=ZERO))
    report = await run(till)
    assert report.ok
    assert (report.closed, report.healed) == (1, 1)
    assert await till.count(Refund) == 1


async def test_a_dispute_of_ours_that_nobody_told_of_is_booked(till: Till) -> None:
    ada = await till.person()
    async with till.withheld():
        await disputed(till, ada)

    report = await run(till)

    assert report.ok
    assert (await till.books())["Disputed"] == 2500


async def test_another_amount_for_the_same_thing_is_named(till: Till, dashboard: stripe.StripeClient) -> None:
    await till.endow()
    ada = await till.person()
    await till.pay(ada)
    await dashboard.v1.refunds.create_async({"payment_intent": await paid_by(till), "amount": 700})
    # Some accounts are asked a fee for a refund, too.
    moved = (await till.sandbox.run(lambda desk: desk.where("balance_transaction", type="refund")))[0]
    await till.sandbox.run(lambda desk: desk.save(moved | {"fee": 20, "net": -720}))
    await till.sandbox.settle()

    await run(till)

    (one,) = await found(till)
    assert (one.kind, one.at_stripe, one.in_books) == ("amount_differs", Money(-720), Money(-700))
    assert one.postings == (Posting(STRIPE, Money(-20)), Posting(FEES, Money(20)))


async def paid_by(till: Till) -> str:
    async with till.units.read() as work:
        return str(await work.session.scalar(select(Payment.gateway_id)))


async def test_a_balance_that_nothing_explains_is_named_until_it_is_explained(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)
    async with till.units.open() as work:
        await ledger.post(
            work,
            source="manual",
            external_id="wrong",
            description="Somebody's mistake",
            postings=[ledger.debit(BANK, Money(50)), ledger.credit(STRIPE, Money(50))],
        )

    await run(till)

    (one,) = await found(till)
    assert (one.kind, one.at_stripe, one.in_books) == ("balance", Money(2397), Money(2347))
    async with till.units.open() as work:
        entry = await ledger.find(work, "manual", "wrong")
        assert entry is not None
        await ledger.reverse(work, entry.id, description="Undone")
    report = await run(till)
    assert (report.ok, report.closed) == (True, 1)


async def test_a_payment_that_stripe_does_not_know_is_named(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada)
    async with till.units.open() as work:
        paid = (await work.session.execute(select(Payment.gateway_id, Payment.settlement, Payment.fee))).one()
        await work.session.execute(
            update(Payment).values(gateway_id="pi_elsewhere", settlement=None, fee=None)
        )

    await run(till)

    assert "payment_missing" in await kinds(till)
    async with till.units.open() as work:
        # The check of the books after every test would miss its entry.
        await work.session.execute(update(Payment).values(**paid._mapping))


async def test_a_new_price_set_in_the_dashboard_is_named_and_closes_once_it_is_set_back(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    _, row = await renewing(till)
    await reprice(dashboard, row.id, 4000)

    await run(till)

    (one,) = await found(till)
    assert (one.kind, one.at_stripe, one.in_books) == ("subscription_price", Money(4000), Money(2500))
    await reprice(dashboard, row.id, 2500)
    # The hourly run, too, looks again at what is open.
    report = await reconciliation.run(till.units, till.gateway)
    assert (report.ok, report.closed) == (True, 1)


async def reprice(dashboard: stripe.StripeClient, subscription: str, cents: int) -> None:
    present = await dashboard.v1.subscriptions.retrieve_async(subscription)
    item = present["items"].data[0]
    await dashboard.v1.subscriptions.update_async(
        subscription,
        {
            "items": [
                {
                    "id": item.id,
                    "price_data": {
                        "currency": "usd",
                        "product": str(item.price.product),
                        "unit_amount": cents,
                        "recurring": {"interval": "year"},
                    },
                }
            ],
            "proration_behavior": "none",
        },
    )


@pytest.mark.parametrize("how", ["stopped", "cancelled", "customer deleted"])
async def test_a_renewal_ended_in_the_dashboard_is_taken_over(
    till: Till, dashboard: stripe.StripeClient, how: str
) -> None:
    _, row = await renewing(till)
    async with till.withheld():
        if how == "stopped":
            await dashboard.v1.subscriptions.update_async(row.id, {"cancel_at_period_end": True})
        elif how == "cancelled":
            await dashboard.v1.subscriptions.cancel_async(row.id)
        else:
            present = await dashboard.v1.subscriptions.retrieve_async(row.id)
            await dashboard.v1.customers.delete_async(str(present.customer))
        await till.sandbox.settle()

    report = await run(till)

    assert report.ok
    assert report.healed == 1
    assert await till.count(Subscription, Subscription.stops | (Subscription.status == "canceled")) == 1


async def test_a_card_that_is_gone_and_a_pause_are_named(till: Till, dashboard: stripe.StripeClient) -> None:
    _, row = await renewing(till)
    present = await dashboard.v1.subscriptions.retrieve_async(row.id)
    await dashboard.v1.payment_methods.detach_async(str(present.default_payment_method))
    await dashboard.v1.subscriptions.update_async(row.id, {"pause_collection": {"behavior": "void"}})

    await run(till)

    assert await kinds(till) == ["card_missing", "subscription_paused"]


async def test_a_subscription_made_by_hand_is_named_and_may_be_accepted_as_it_is(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    tess, theo = await treasurers(till.units)
    await by_hand(dashboard)
    await till.sandbox.settle()
    await run(till)
    assert await kinds(till) == ["foreign_charge", "foreign_subscription"]
    one = next(one for one in await found(till) if one.kind == "foreign_subscription")

    async with till.units.open() as work:
        proposal = await differences.propose(work, one.id, tess, reason="the shop's own")
    async with till.units.open() as work:
        accepted = await differences.settle(work, proposal.id, theo)

    assert accepted.state == "accepted"
    await run(till)
    assert await kinds(till) == ["foreign_charge"]


async def by_hand(dashboard: stripe.StripeClient) -> str:
    product = await dashboard.v1.products.create_async({"name": "Something else"})
    customer = await dashboard.v1.customers.create_async(
        {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    )
    made = await dashboard.v1.subscriptions.create_async(
        {
            "customer": customer.id,
            "items": [
                {
                    "price_data": {
                        "currency": "usd",
                        "product": product.id,
                        "unit_amount": 1200,
                        "recurring": {"interval": "month"},
                    }
                }
            ],
        }
    )
    return made.id


async def test_a_renewal_that_stripe_does_not_know_is_named_and_stops_nobody_elses(till: Till) -> None:
    _, gone = await renewing(till)
    async with till.units.open() as work:
        await work.session.execute(
            update(Subscription).where(Subscription.id == gone.id).values(id="sub_elsewhere")
        )
    bob, _ = await renewing(till, "bob")
    async with till.withheld():
        till.clock.advance(timedelta(days=366))
        await till.sandbox.settle()

    await run(till)

    assert "subscription_missing" in await kinds(till)
    assert len(await till.terms_of(bob.id)) == 2


async def test_a_pass_that_broke_off_goes_on_at_its_page(
    till: Till, dashboard: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coop.billing.stripe_lists.PAGE", 1)
    for cents in (1000, 2000, 3000):
        await charged(dashboard, cents)
    await till.sandbox.settle()
    lists, asked = till.gateway.lists, []

    class Failing:
        """The same lists, away at the second page and when it is asked for again at once."""

        def __getattr__(self, name: str) -> object:
            return getattr(lists, name)

        async def movements(self, window: object, after: str | None) -> object:
            asked.append(after)
            if len(asked) in {2, 3}:
                raise GatewayAway
            return await lists.movements(window, after)  # type: ignore[arg-type]  # as it came

    till.gateway.lists = Failing()  # type: ignore[assignment]  # the protocol but for one call
    first = await reconciliation.run(till.units, till.gateway)
    async with till.units.read() as work:
        stream = await work.session.get_one(Stream, "movements")
    broken_at = stream.after

    second = await reconciliation.run(till.units, till.gateway)

    assert first.failed == ("movements", "balance")
    assert broken_at is not None
    assert asked[3] == broken_at
    assert (second.failed, second.open) == ((), 3)


async def test_a_place_that_is_gone_starts_the_pass_again(till: Till) -> None:
    await till.pay(await till.person())
    async with till.units.open() as work:
        await insert_once(
            work.session,
            Stream,
            name="events",
            since=work.now - timedelta(days=1),
            until=work.now,
            after="evt_forgotten",
            done_until=None,
        )

    report = await run(till)

    assert report.ok
    assert await streams.last_pass(till.units, "events") is not None


async def test_what_a_run_did_is_kept_for_a_while(units: Units, clock: FixedClock) -> None:
    for _ in range(2):
        async with units.open() as work:
            await runs.end(work, await runs.begin(work), Tally(looked=3))
        clock.advance(runs.KEPT + timedelta(days=1))

    async with units.read() as work:
        (last,) = await runs.latest(work, most=5)
    assert (last.looked, last.ended_at) == (3, last.began_at)


async def test_one_difference_is_open_for_each_kind_and_object(units: Units) -> None:
    async with units.open() as work:
        first = await differences.note(work, balance(work, 500))
        again = await differences.note(work, balance(work, 600))
        (one,) = await differences.listed(work)
        assert (first, again, one.at_stripe) == (True, False, Money(600))
        await differences.gone(work, one.id)
        assert await differences.note(work, balance(work, 600))
        assert len(await differences.listed(work, everything=True)) == 2


@pytest.mark.parametrize(
    "values",
    [
        {"state": "settled"},
        {"state": "gone"},
        {"state": "forgotten"},
        {"proposal_id": UUID(int=7)},
    ],
)
async def test_the_database_refuses_a_difference_settled_without_two_people(
    units: Units, values: dict[str, object]
) -> None:
    async with units.open() as work:
        await differences.note(work, balance(work, 500))

    with pytest.raises(IntegrityError):
        async with units.open() as work:
            await work.session.execute(update(Difference).values(values))


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_the_command_tells_people_and_programs_what_differs(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    await charged(dashboard)
    await till.sandbox.settle()
    settings = till.units.settings
    names = ("issuer", "database_url", "secret_key", "stripe_api_base", "stripe_secret_key")
    environment = {f"COOP_{name.upper()}": str(getattr(settings, name)) for name in names}

    async def coop(*words: str) -> subprocess.CompletedProcess[str]:
        return await to_thread.run_sync(
            lambda: demo.process("books", *words, COOP_DEMO="true", **environment)
        )

    told, listed = await coop("reconcile"), await coop("reconcile", "--quick", "--json")

    assert (told.returncode, listed.returncode) == (1, 1)
    assert "foreign_charge" in told.stdout
    assert "Cr Liabilities:MemberCredit" in told.stdout
    report = json.loads(listed.stdout)
    assert (report["open"], report["opened"], report["differences"][0]["stripe"]) == (1, 0, 941)
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert "foreign_charge" in (await coop("differences")).stdout


def test_the_schema_of_the_report_is_the_documented_one() -> None:
    assert json.loads(runs.schema()) == json.loads(SCHEMA.read_text(encoding="utf-8"))


def test_every_kind_of_difference_is_documented() -> None:
    documented = (ROOT / "docs" / "books.md").read_text(encoding="utf-8")
    assert [kind for kind in differences.KINDS if f"`{kind}`" not in documented] == []


async def test_the_doctor_says_when_the_books_were_held_against_stripe(
    units: Units, clock: FixedClock
) -> None:
    async with units.open() as work:
        never = await look_at_reconciliation(work)
        await runs.end(work, await runs.begin(work), Tally())
        well = await look_at_reconciliation(work)
        await differences.note(work, balance(work, 500))
        apart = await look_at_reconciliation(work)
        (one,) = await differences.listed(work)
        await differences.gone(work, one.id)
    clock.advance(timedelta(hours=4))
    async with units.read() as work:
        late = await look_at_reconciliation(work)

    assert [found.state for found in (never, well, apart, late)] == ["warning", "good", "warning", "bad"]
    assert "1 differences" in apart.do
