"""Erasure: the books stay whole and the person is gone, whatever comes in between."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import LargeBinary, select, update
from sqlalchemy.exc import DBAPIError

from api.sandbox.objects import disputes as at_stripe
from coop import schema, worker
from coop.billing import subscriptions
from coop.billing.cards import Customer
from coop.billing.disputes import Dispute
from coop.billing.gateway import GatewayAway
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.billing.subscriptions import Subscription
from coop.identity import accounts, handles, sessions
from coop.identity.accounts import Account
from coop.identity.sessions import BrowserSession
from coop.leaving import erasing, erasures
from coop.leaving.erasures import Erasure
from coop.leaving.register import HELD
from coop.ledger.references import PersonReference
from coop.membership.terms import Term
from coop.networks import aliases, endpoints, links, networks
from coop.networks.aliases import Alias
from coop.networks.deliveries import Delivery
from coop.networks.endpoints import Endpoint
from coop.networks.links import Link
from coop.outbox import OutboxMessage, addressed_to
from coop.policies import Privacy
from coop.stewardship import audit, roles
from coop.unit_of_work import Units
from tests.demo import coop
from tests.leaving.life import lived
from tests.people import signed_in
from tests.till import Till

COOLING = timedelta(days=14)
KEPT = {held.table.__tablename__ for held in HELD if held.stays}
"""The tables of which it is written down why an account's identifier stays in them."""


async def ask(till: Till, account: Account) -> None:
    async with till.units.open() as work:
        await erasures.ask(work, account.id)


async def go_on(till: Till) -> None:
    """Let the worker do what is due of erasures, with the events that they publish."""
    for _ in range(3):
        await erasing.carry_out_due(till.units, till.gateway)
        await till.work()


async def state_of(till: Till, account: Account) -> str | None:
    async with till.units.read() as work:
        known = await erasures.of(work, account.id)
    return None if known is None else known.state


async def everything(units: Units) -> AsyncIterator[tuple[str, str, str]]:
    """Yield every value of every column of every table, as text."""
    async with units.read() as work:
        for table in schema.metadata.sorted_tables:
            for row in (await work.session.execute(select(table))).mappings():
                for column in table.columns:
                    value = row[column.name]
                    if value is None:
                        continue
                    plain = (
                        bytes(value).decode("utf-8", "replace")
                        if isinstance(column.type, LargeBinary)
                        else json.dumps(value, ensure_ascii=False, default=str)
                    )
                    yield table.name, column.name, plain


async def test_nothing_that_names_her_is_left_in_any_column_of_any_table(till: Till) -> None:
    life = await lived(till)
    ada = life.ada
    async with till.units.open() as work:
        (network,) = await networks.directory(work)
        link = await work.session.get_one(Link, (network.id, ada.id))
        alias = await work.session.scalar(select(Alias).where(Alias.account_id == ada.id))
        assert alias is not None
        # Its server is not there: it is told of nothing, and given up.
        await work.session.execute(update(Delivery).values(due_at=None))
    await ask(till, ada)
    till.clock.advance(COOLING)

    await go_on(till)
    till.clock.advance(erasing.PATIENCE)
    await go_on(till)

    assert await state_of(till, ada) == "done"
    names = [*life.names, alias.alias, link.subject, "anastazja.new@example.org"]
    found, kept = set(), set()
    async for table, column, value in everything(till.units):
        # What is said in a motion or by a steward is theirs who said it.
        found |= {(table, column, name) for name in names if name.lower() in value.lower()}
        if str(ada.id) in value or ada.id.hex in value:
            kept.add(table)
    assert found == set()
    assert kept <= KEPT
    async with till.units.open() as work:
        with pytest.raises(handles.HandleTaken):
            await accounts.register(work, handle=ada.handle, email=None, password_digest=None)
        assert not await aliases.free(work, network.id, alias.alias)
    # Her bank decides long afterwards: that is booked, and leads to nobody.
    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.where("dispute")[0], won=False))
    await till.sandbox.settle()
    assert await till.count(Dispute, Dispute.state == "lost") == 1
    assert await till.count(PersonReference, PersonReference.account_id == ada.id) == 0
    last = [letter for letter in till.postbox.letters if "anastazja" in letter.to][-1]
    assert last.to == "anastazja@example.org"
    assert "erased" in last.subject


async def test_nothing_is_charged_any_more_and_the_processor_forgets_the_customer(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await till.work()
    async with till.units.read() as work:
        customer = await work.session.scalar(select(Customer.gateway_id))
        subscription = await work.session.scalar(select(Subscription.id))
    await ask(till, ada)
    await subscriptions.carry_out_due(till.units, till.gateway)
    assert (await till.gateway.fetch_subscription(str(subscription))).paused
    till.clock.advance(COOLING)

    await go_on(till)

    assert await state_of(till, ada) == "done"
    assert (await till.gateway.fetch_subscription(str(subscription))).status == "canceled"
    assert (await till.sandbox.run(lambda desk: desk.find(customer))).get("deleted")
    assert await till.count(Customer) == 0
    till.clock.advance(timedelta(days=400))
    await till.sandbox.settle()
    await till.work()
    assert await till.count(Payment) == 1
    assert await till.count(PersonReference, PersonReference.account_id == ada.id) == 0


async def test_a_customer_heard_of_afterwards_is_forgotten_too(till: Till) -> None:
    ada, grace = await till.person(), await till.person("grace")
    await till.pay(grace, automatic=True)
    await ask(till, ada)
    till.clock.advance(COOLING)
    await go_on(till)
    assert await state_of(till, ada) == "done"
    async with till.units.open() as work:
        # As a page of hers would, which Stripe completed in the moment in which it was closed.
        await work.session.execute(update(Customer).values(account_id=ada.id))
        customer = await work.session.scalar(select(Customer.gateway_id))

    await go_on(till)

    assert await till.count(Customer) == 0
    assert (await till.sandbox.run(lambda desk: desk.find(customer))).get("deleted")
    assert await state_of(till, ada) == "done"
    assert await erasing.carry_out_due(till.units, till.gateway) == 0


async def test_whoever_changes_their_mind_on_the_last_day_has_everything_as_before(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await ask(till, ada)
    await till.work()
    till.clock.advance(COOLING - timedelta(minutes=1))
    await till.work()

    async with till.units.open() as work:
        assert await erasures.keep(work, ada.id)
        assert not await erasures.keep(work, ada.id)
    till.clock.advance(timedelta(days=1))
    await go_on(till)

    assert await state_of(till, ada) is None
    assert await till.state(ada) == "active"
    async with till.units.read() as work:
        renewing = await subscriptions.renewing(work, ada.id)
    assert renewing is not None
    state = await till.gateway.fetch_subscription(renewing.id)
    assert not state.paused
    subjects = " ".join(letter.subject for letter in till.postbox.letters)
    assert "will be erased on 16 March 2026" in subjects
    assert "Your account at Commons Cooperative stays" in subjects
    assert "is erased" not in subjects


async def test_each_network_is_told_once_by_the_subject_that_it_knows(till: Till) -> None:
    ada = await till.person()
    subjects = {}
    async with till.units.open() as work:
        for host in ("lagoon", "meadow"):
            network = await networks.register(work, kind="own", name=host, origin=f"https://{host}.example")
            await endpoints.create(work, network.id, f"https://{host}.example/hooks")
            subjects[network.id] = (await links.link(work, network.id, ada.id)).subject
    await ask(till, ada)
    till.clock.advance(COOLING)
    for _ in range(2):
        await erasing.carry_out_due(till.units, till.gateway)
        while await worker.assemble(till.units, till.gateway, till.postbox)._outbox():
            pass

    async with till.units.read() as work:
        told = (
            await work.session.execute(
                select(Delivery.payload, Endpoint.network_id)
                .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
                .where(Delivery.type == "account.erased")
            )
        ).all()
        ended = [link.ended_at for link in await work.session.scalars(select(Link))]
    assert len(told) == 2
    assert {of: json.loads(payload)["data"]["subject"] for payload, of in told} == subjects
    assert all(ended)
    # Until they have heard, their subjects are kept; then nothing is.
    assert await state_of(till, ada) == "forgetting"
    async with till.units.open() as work:
        await work.session.execute(update(Delivery).values(due_at=None, delivered_at=work.wall))
    await erasing.carry_out_due(till.units, till.gateway)
    assert await till.count(Link) == await till.count(Delivery) == 0
    assert await state_of(till, ada) == "done"


async def test_of_the_last_moment_and_the_change_of_mind_one_counts(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await ask(till, ada)
    till.clock.advance(COOLING)

    async def keep() -> bool:
        async with till.units.open() as work:
            return await erasures.keep(work, ada.id)

    async def sign_in() -> str | None:
        async with till.units.open() as work:
            return await sessions.open_for(work, ada.id, amr=("pwd",), user_agent="at the same moment")

    kept, *_ = await asyncio.gather(
        keep(),
        *(erasing.carry_out_due(till.units, till.gateway) for _ in range(3)),
        sign_in(),
        return_exceptions=True,
    )

    async with till.units.read() as work:
        account = await accounts.get(work, ada.id)
    if kept is True:
        assert account.erased_at is None
        assert await state_of(till, ada) is None
    else:
        assert isinstance(kept, erasures.ErasureBegun)
        await go_on(till)
        assert await state_of(till, ada) == "done"
        assert await till.count(BrowserSession) == 0
        assert len([letter for letter in till.postbox.letters if "is erased" in letter.subject]) == 1


async def test_asking_twice_is_asking_once(till: Till) -> None:
    ada = await till.person()
    await ask(till, ada)
    till.clock.advance(timedelta(days=3))
    await ask(till, ada)
    await till.work()

    assert await till.count(Erasure) == 1
    assert len([letter for letter in till.postbox.letters if "will be erased" in letter.subject]) == 1


async def test_there_is_no_way_back_once_it_has_begun(till: Till) -> None:
    ada = await till.person()
    await ask(till, ada)
    till.clock.advance(COOLING)
    await erasing.carry_out_due(till.units, till.gateway)

    async with till.units.open() as work:
        with pytest.raises(erasures.ErasureBegun):
            await erasures.keep(work, ada.id)
        assert await sessions.open_for(work, ada.id, amr=("pwd",), user_agent="late") is None


class Dying:
    """A gateway that dies at one of its calls, as a process that is killed there would."""

    def __init__(self, gateway: object, at: str):
        self._gateway, self._at = gateway, at

    def __getattr__(self, name: str) -> object:
        if name == self._at:
            raise GatewayAway
        found = getattr(self._gateway, name)
        return Dying(found, self._at) if name == "cards" else found


@pytest.mark.parametrize("at", ["cancel_subscription", "forget"])
async def test_it_goes_on_where_it_stopped(till: Till, at: str) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await ask(till, ada)
    till.clock.advance(COOLING)

    await erasing.carry_out_due(till.units, Dying(till.gateway, at))
    assert await state_of(till, ada) == "closing"
    await go_on(till)

    assert await state_of(till, ada) == "done"
    assert len([letter for letter in till.postbox.letters if "is erased" in letter.subject]) == 1


async def test_money_that_comes_too_late_goes_back_by_itself(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await ask(till, ada)
    till.clock.advance(COOLING)
    async with till.units.open() as work:
        # As if the pause had never reached the processor.
        await work.session.execute(update(Subscription).values(wish="renew"))
    async with till.withheld():
        till.clock.advance(timedelta(days=365))
        await till.sandbox.settle()
    await erasing.carry_out_due(till.units, till.gateway)

    await till.work()
    await till.sandbox.settle()
    await till.work()

    assert await till.count(Term) == 1
    assert await till.count(Payment) == 2
    assert await till.count(Refund, Refund.state == "sent") == 1
    assert await till.count(PersonReference, PersonReference.account_id == ada.id) == 0


async def test_the_last_who_holds_an_office_hands_it_over_first(till: Till) -> None:
    ada, ben = await till.person(), await till.person("ben")
    async with till.units.open() as work:
        until = work.now + timedelta(days=300)
        await roles.grant(work, ada.id, "treasurer", until=until, act="founding", reason="The first")
        with pytest.raises(erasures.LastSteward):
            await erasures.ask(work, ada.id)
        await roles.grant(work, ben.id, "treasurer", until=until, act="founding", reason="The second")
        await erasures.ask(work, ada.id)
        # Meanwhile the other one leaves.
        await roles.end(work, ben.id, "treasurer", reason="Moved away")
    till.clock.advance(COOLING)

    await go_on(till)

    assert await state_of(till, ada) == "asked"
    assert len([letter for letter in till.postbox.letters if "cannot be erased yet" in letter.subject]) == 1
    async with till.units.open() as work:
        await roles.grant(work, ben.id, "treasurer", until=until, act="founding", reason="Came back")
    till.clock.advance(timedelta(days=1))
    await go_on(till)
    assert await state_of(till, ada) == "done"


async def test_an_erased_account_gets_nothing_back_whatever_anybody_tries(till: Till) -> None:
    ada = await till.person()
    await ask(till, ada)
    till.clock.advance(COOLING)
    await go_on(till)

    for attempt in ({"email": "ada@example.org"}, {"erased_at": None}, {"handle": "ada"}):
        with pytest.raises(DBAPIError, match="nobody"):
            async with till.units.open() as work:
                await work.session.execute(update(Account).where(Account.id == ada.id).values(attempt))

    async def sign_in() -> None:
        async with till.units.open() as work:
            account = await accounts.get(work, ada.id)
            await sessions.begin(work, account, amr=("pwd",), user_agent="late")

    with pytest.raises(DBAPIError, match="nobody"):
        await sign_in()


async def test_the_page_asks_shows_and_takes_back(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, automatic=True)
    async with till.visitor(ada) as browser:
        page = await browser.get("/account/erase")
        assert "What stays, without you" in page.text
        assert (await browser.post("/account/erase")).status_code == 303

        assert "will be erased on 16 March 2026" in (await browser.get("/account/erase")).text
        assert 'action="/account/erase/keep"' in (await browser.get("/account")).text
        await browser.post("/account/erase/keep")

        assert await state_of(till, ada) is None
        till.clock.advance(timedelta(hours=1))
        assert (await browser.post("/account/erase")).headers["location"].startswith("/sign-in")
        await signed_in(browser, till.units, ada)


async def test_a_request_in_writing_takes_a_fortnight_and_its_owner_is_told(till: Till) -> None:
    ada = await till.person()
    await till.adopt(Privacy, erasure_days=0)
    settings = till.units.settings
    environment = {
        "COOP_DATABASE_URL": settings.database_url,
        "COOP_DEMO": "true",
        "COOP_ISSUER": settings.issuer,
        "COOP_SECRET_KEY": settings.secret_key,
        "COOP_PAIRWISE_SECRET": settings.pairwise_secret,
    }

    done = coop("member", "erase", "ada", "--reason", "She asked by letter", **environment)

    assert done.returncode == 0, done.stderr
    async with till.units.read() as work:
        known = await erasures.of(work, ada.id)
        (line,) = await audit.about(work, ada.id)
        letters = await work.session.scalars(select(OutboxMessage).where(addressed_to("ada@example.org")))
        assert len(list(letters)) == 1
    assert known is not None
    assert known.due_at - known.asked_at == erasures.IN_WRITING
    assert (line.act, line.reason) == ("member.erasure_asked", "She asked by letter")
