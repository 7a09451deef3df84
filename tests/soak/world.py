"""A whole cooperative and its card processor in one process, and everything that people can do there.

Each thing that somebody does is one method. What is refused is refused: a refusal ends the method quietly, and whatever
it left behind is held against what must hold (`tests.soak.agreement`).
"""

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select

from api.sandbox import Sandbox, Terms, Webhook, webhooks
from api.sandbox.desk import Desk
from api.sandbox.objects import completion, disputes, payment_methods, refunds
from api.sandbox.objects.cards import CARDS
from api.sandbox.problems import Doc, StripeProblem
from coop import ledger, worker
from coop.billing import checkout, credit, giving, intents, stripe_events, withdrawal
from coop.billing.intents import Purpose, Wish
from coop.billing.stripe_gateway import StripeGateway
from coop.clock import FixedClock
from coop.errors import CoopError
from coop.identity.accounts import Account
from coop.money import Money
from coop.settings import Settings
from coop.sponsorship import gifts
from coop.sponsorship.gifts import Gift
from coop.stewardship import roles
from coop.unit_of_work import Units
from tests.conftest import ISSUER, SECRET_KEY, Postbox
from tests.cooperative import found
from tests.people import register
from tests.soak.stage import InProcess, Stage, StagedUnits

PEOPLE = ("ada", "bob", "cleo", "dan", "eve")
TREASURERS = ("tess", "tom")
FOUNDERS = 10_000_000
"""The reserve in cents with which a life begins, and on which its losses fall."""
SECRET = "whsec_" + "y" * 32
TERMS = Terms(balance_delay=30, dispute_delay=3600, delivery_delays=(60, 600, 3600))
FOREIGN = frozenset(
    {
        "announce_motions",
        "close_votes",
        "execute_motions",
        "forget_deliveries",
        "forget_imports",
        "forget_rolls",
        "forget_sign_outs",
        "forget_tokens",
        "mix_ballots",
        "remind_voters",
        "rotate_keys",
        "sweep_sign_ins",
    }
)
"""Jobs that have nothing to do with money; all others are part of this life, also those that are still to be written."""
LONGEST_STEP = timedelta(days=28)
"""Nobody leaves a service alone for longer, so long times pass in steps of this length."""


@dataclass
class World:
    """One cooperative, one processor, and the people between them."""

    units: StagedUnits
    gateway: StripeGateway
    sandbox: Sandbox
    clock: FixedClock
    stage: Stage
    jobs: Sequence[Callable[[], Awaitable[object]]]
    people: list[UUID]
    """Who has a seat; whoever is erased keeps theirs until somebody new arrives, as a request may that is under way."""
    treasurers: Sequence[UUID] = ()
    gone: list[UUID] = field(default_factory=list)
    """Whose seat somebody else has by now."""
    addresses: dict[UUID, str] = field(default_factory=dict)
    """Whose address was which, also of those who have none any more."""
    wishes: list[tuple[Wish, str]] = field(default_factory=list)
    """What was wished for, and under which key, so that it can be wished again."""
    keys: list[tuple[Callable[..., Awaitable[str]], UUID, str]] = field(default_factory=list)

    # What people choose.

    async def pay(
        self,
        *,
        who: int,
        cents: int,
        purpose: Purpose = "dues",
        automatic: bool = False,
        instalments: bool = False,
    ) -> None:
        """Press Pay; where it leads is found among the open pages."""
        wish = Wish(
            account_id=self.people[who],
            amount=Money(cents),
            purpose=purpose,
            automatic=automatic,
            instalments=instalments,
        )
        key = uuid4().hex
        self.wishes.append((wish, key))
        await self.wish_again(which=len(self.wishes) - 1)

    async def wish_again(self, *, which: int) -> None:
        """Press the same button again: a double click, or a retry after a crash, days later perhaps."""
        if self.wishes:
            wish, key = self.wishes[which % len(self.wishes)]
            with contextlib.suppress(CoopError):
                await checkout.begin(self.units, self.gateway, wish, key=key)

    async def enter_card(self, *, page: int, card: str) -> None:
        """Enter a card on one of the open payment pages, also one that should long have been closed."""

        def work(desk: Desk) -> None:
            pages = [one for one in desk.where("checkout.session") if one["status"] == "open"]
            if pages:
                chosen = pages[page % len(pages)]
                method = payment_methods.make(desk, CARDS[card], {}, expiry=(12, 2060))
                completion.submit(desk, chosen, method)

        await self.at_stripe(work)

    async def answer_bank(self, *, confirmed: bool) -> None:
        """Confirm to one's bank that it is oneself who pays, or give up."""

        def work(desk: Desk) -> None:
            for intent in desk.where("payment_intent"):
                if intent["status"] == "requires_action":
                    completion.finish(desk, intent, confirmed=confirmed)

        await self.at_stripe(work)

    async def come_back(self, *, who: int) -> None:
        """Land on the page after paying, which does what a lost webhook would have done."""
        async with self.units.read() as work:
            visit = await intents.live(work, self.people[who])
        if visit is not None and visit.gateway_id is not None:
            with contextlib.suppress(CoopError):
                state = await self.gateway.fetch_checkout(visit.gateway_id)
                await checkout.settle(self.units, self.gateway, state)

    async def ask(self, *, who: int, cents: int) -> None:
        """Ask for a place."""
        with contextlib.suppress(CoopError):
            await checkout.ask(self.units, self.gateway, self.people[who], contribution=Money(cents))

    async def leave_queue(self, *, who: int) -> None:
        """Take the request back."""
        with contextlib.suppress(CoopError):
            await credit.leave(self.units, self.gateway, self.people[who])

    async def claim(self, *, who: int, which: int) -> None:
        """Take up a gift, perhaps one that was taken up before."""
        async with self.units.read() as work:
            found = list(await work.session.scalars(select(Gift.id).order_by(Gift.bought_at)))
        if found:
            secret = gifts.code(self.units.settings, found[which % len(found)])
            with contextlib.suppress(CoopError):
                await giving.claim(self.units, self.gateway, account_id=self.people[who], secret=secret)

    async def withdraw(self, *, who: int) -> None:
        """Give the running year back."""
        await self._once(withdrawal.withdraw, self.people[who], uuid4().hex)

    async def stop(self, *, who: int) -> None:
        """Stop renewal."""
        await self._once(withdrawal.stop, self.people[who], uuid4().hex)

    async def press_again(self, *, which: int) -> None:
        """Send the form with which one stopped or withdrew again."""
        if self.keys:
            verb, who, key = self.keys[which % len(self.keys)]
            await self._once(verb, who, key, new=False)

    async def _once(
        self, verb: Callable[..., Awaitable[str]], who: UUID, key: str, *, new: bool = True
    ) -> None:
        if new:
            self.keys.append((verb, who, key))
        with contextlib.suppress(CoopError):
            await verb(self.units, self.gateway, account_id=who, key=key)

    async def change_card(self, *, who: int, card: str) -> None:
        """Put another card behind all renewals, in the processor's portal."""
        async with self.units.read() as work:
            email = (await work.session.get_one(Account, self.people[who])).email

        def change(desk: Desk) -> None:
            # The processor's portal opens for nobody who is gone.
            for customer in desk.where("customer", email=email) if email else ():
                method = payment_methods.make(desk, CARDS[card], {}, expiry=(12, 2060))
                payment_methods.attach(desk, method, customer)
                for subscription in desk.where("subscription", customer=customer["id"]):
                    desk.save(subscription | {"default_payment_method": method["id"]})

        await self.at_stripe(change)

    # What banks, and people at the processor's dashboard, do.

    async def dispute(self, *, which: int) -> None:
        """Have a cardholder's bank take a payment back."""

        def work(desk: Desk) -> None:
            charges = [one for one in desk.where("charge") if one["paid"] and not one["disputed"]]
            if charges:
                disputes.open_against(desk, charges[which % len(charges)])

        await self.at_stripe(work)

    async def settle_dispute(self, *, which: int, won: bool) -> None:
        """Have the bank decide."""

        def work(desk: Desk) -> None:
            found = [one for one in desk.where("dispute") if one["status"] in disputes.OPEN]
            if found:
                disputes.close(desk, found[which % len(found)], won=won)

        await self.at_stripe(work)

    async def refund_at_stripe(self, *, which: int, cents: int) -> None:
        """Give money back in the processor's dashboard, past the cooperative's program."""

        def work(desk: Desk) -> None:
            charges = [one for one in desk.where("charge") if one["paid"]]
            if charges:
                charge = charges[which % len(charges)]
                left = charge["amount"] - charge["amount_refunded"]
                refunds.give_back(desk, charge, min(cents, left), {})

        await self.at_stripe(work)

    async def lose_answers(self, *, count: int) -> None:
        """Let the next answers of the processor get lost, though it did what it was asked."""
        self.stage.lost = count

    async def at_stripe(self, work: Callable[[Desk], None]) -> None:
        """Do something at the processor that the processor may refuse."""
        with contextlib.suppress(StripeProblem):
            await self.sandbox.run(work)

    # What machines do.

    async def deliver(self, *, order: Sequence[int], fates: Sequence[str]) -> None:
        """Bring some of the waiting webhooks, in any order; each arrives, arrives twice, or is lost for ever."""
        waiting = await self.sandbox.run(lambda desk: webhooks.ready(desk, most=500, everything=True))
        for pick, fate in zip(order, fates, strict=False):
            if not waiting:
                return
            delivery = waiting.pop(pick % len(waiting))
            if fate == "lost":
                await self.sandbox.run(
                    lambda desk, number=delivery.number: desk.store.run(  # type: ignore[misc]  # a default is how a lambda binds
                        "UPDATE deliveries SET state = 'lost' WHERE seq = ?", number
                    )
                )
                continue
            answer = "ConnectError"
            try:
                for _ in range(2 if fate == "twice" else 1):
                    answer = await self._told(delivery)
            finally:
                await self.sandbox.run(functools.partial(webhooks.note, delivery=delivery, answer=answer))

    async def _told(self, delivery: webhooks.Delivery) -> str:
        try:
            await stripe_events.receive(self.units, self.gateway, delivery.body, delivery.signature)
        except CoopError as error:
            return error.code
        return "200"

    async def job(self, *, which: int) -> None:
        """Run one of the recurring jobs."""
        await self.jobs[which % len(self.jobs)]()

    async def all_jobs(self) -> None:
        """Run every recurring job."""
        for job in self.jobs:
            await job()

    async def pass_time(self, *, by: timedelta, heard: bool = True) -> None:
        """Let time pass; over long times the service works, and the webhooks are `heard` or all lost."""
        while by > timedelta(0):
            step = min(by, LONGEST_STEP)
            self.clock.advance(step)
            await self.sandbox.tick()
            by -= step
            if step == LONGEST_STEP or by:
                self.stage.lost = 0
                await (self.hear() if heard else self.lose_webhooks())
                await self.all_jobs()

    async def hear(self) -> None:
        """Bring all webhooks that wait, until there are no more."""
        for _ in range(10):
            waiting = await self.sandbox.run(lambda desk: webhooks.ready(desk, most=500, everything=True))
            if not waiting:
                return
            for delivery in waiting:
                answer = await self._told(delivery)
                await self.sandbox.run(functools.partial(webhooks.note, delivery=delivery, answer=answer))

    async def lose_webhooks(self) -> None:
        """Lose all webhooks that wait."""
        await self.sandbox.run(
            lambda desk: desk.store.run("UPDATE deliveries SET state = 'lost' WHERE state = 'pending'")
        )

    async def reconcile(self, *, heard: bool) -> None:
        """Let everything come to rest: nothing goes wrong any more, and the jobs have the time that they need."""
        self.stage.fuse, self.stage.lost = None, 0
        await (self.hear() if heard else self.lose_webhooks())
        # Longer than any lease, and then longer than a page stays open whose address nobody ever learnt; in the end what
        # the day itself has begun, such as an erasure, which goes on once its networks were told.
        for pause in (timedelta(minutes=10), timedelta(hours=25), timedelta(minutes=10)):
            self.clock.advance(pause)
            await self.sandbox.tick()
            await (self.hear() if heard else self.lose_webhooks())
            await self.all_jobs()

    # What the processor knows, for whoever compares.

    async def known(self, kind: str) -> list[Doc]:
        """Return the processor's objects of a kind."""
        return await self.sandbox.run(lambda desk: desk.where(kind))


def settings_for(database_url: str) -> Settings:
    """Return the settings of a cooperative that lives in a database."""
    return Settings(
        issuer=ISSUER,
        database_url=database_url,
        demo=True,
        worker=False,
        sponsorship_delay_hours=0,
        bank_account="DE02 1203 0000 0000 2020 51",
        secret_key=SECRET_KEY,
        pairwise_secret="9a" * 32,
        stripe_secret_key="sk_test_" + "x" * 24,
        stripe_webhook_secret=SECRET,
    )


async def founded(database_url: str, on: datetime, people: Sequence[str] = PEOPLE) -> None:
    """Found a cooperative that has a reserve, and people who have accounts."""
    units = Units(settings_for(database_url), FixedClock(on))
    await found(units)
    async with units.open() as work:
        reserve = Money(FOUNDERS)
        await ledger.post(
            work,
            source="manual",
            external_id="founders",
            description="The founders' reserve, on which losses fall",
            postings=[ledger.debit(ledger.BANK, reserve), ledger.credit(ledger.RESERVE, reserve)],
        )
    for handle in people:
        await register(units, handle, email=f"{handle}@example.org")
    for handle in TREASURERS:
        treasurer = await register(units, handle, email=f"{handle}@example.org")
        async with units.open() as work:
            await roles.grant(
                work,
                treasurer.id,
                "treasurer",
                until=work.now + roles.LONGEST,
                act="founding",
                reason="The members trust them",
            )
    await units.close()


@contextlib.asynccontextmanager
async def world(database_url: str, begins: datetime, people: Sequence[str] = PEOPLE) -> AsyncIterator[World]:
    """Open a founded cooperative for business, with a processor that has never heard of it."""
    clock, stage = FixedClock(begins), Stage()
    settings = settings_for(database_url)
    sandbox = Sandbox(
        url="http://sandbox.test",
        clock=clock.wall,
        terms=TERMS,
        webhook=Webhook(url=settings.url("/hooks/stripe"), secret=SECRET, events=stripe_events.WANTED),
    )
    sandbox.wall = clock.wall
    units = StagedUnits(settings, clock)
    units.stage = stage
    gateway = StripeGateway(settings, http=InProcess(sandbox, stage))
    assembled = worker.assemble(units, gateway, Postbox())
    jobs = [
        assembled._outbox,
        # Others' servers are none of this story.
        *(errand for errand in assembled.errands if getattr(errand, "func", None) is not worker.call),
        *(job.run for job in assembled.jobs if job.name not in FOREIGN),
    ]
    try:
        async with units.read() as work:
            everybody = list(await work.session.scalars(select(Account)))
        accounts = {one.handle: one.id for one in everybody}
        yield World(
            units,
            gateway,
            sandbox,
            clock,
            stage,
            jobs,
            [accounts[handle] for handle in people],
            [accounts[handle] for handle in TREASURERS],
            addresses={one.id: str(one.email) for one in everybody},
        )
    finally:
        await units.close()
        sandbox.close()
