"""Lives through the demo's two years: the same verbs, the same payments, the same jobs as in a real cooperative."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import anyio
import httpx
from litestar import Litestar

from api.app import create_app
from api.sandbox.app import create_sandbox
from api.sandbox.sandbox import Sandbox, Webhook
from api.sandbox.terms import Terms
from coop import policies, worker
from coop.billing import checkout, stripe_events
from coop.billing.gateway import Gateway
from coop.billing.intents import Purpose, Wish
from coop.billing.stripe_gateway import StripeGateway
from coop.cli.demo import assembly, neighbours, others
from coop.cli.demo.mounting import Mounted
from coop.cli.demo.people import LATECOMERS, Person, everybody
from coop.cli.demo.story import PASSWORD, SeededMember, Story
from coop.cli.demo.waiting import answering
from coop.cli.serve import server
from coop.clock import FixedClock, PastClock, SystemClock
from coop.identity import accounts
from coop.identity.passwords import Hasher
from coop.ledger import BANK, GRANTS, HOSTING, credit, debit, post
from coop.mail import Mailbox
from coop.membership import standing
from coop.money import Money
from coop.settings import Settings
from coop.sponsorship import places, queue
from coop.stewardship import roles
from coop.stewardship.roles import RoleName
from coop.unit_of_work import Units

DAYS = 730
YEAR = 365
PAYS: dict[str, int] = {"automatic": 2500, "yearly": 2500, "generous": 4000, "part": 1000, "lapsed": 2500}
CARD = {"number": "4242424242424242", "expiry": "12/40", "cvc": "123"}


async def live_two_years(data: Path, settings: Settings, *, network_port: int) -> Story:
    """Seed an empty cooperative with a founding, members, networks, votes and books up to the present day."""
    clock = PastClock(SystemClock().wall() - timedelta(days=DAYS))
    mailbox_clock = FixedClock(clock.instant)
    # The worker is driven by hand here, a day at a time.
    settings = Settings(
        **{name: getattr(settings, name) for name in Settings.__struct_fields__} | {"worker": False}
    )
    units = Units(settings, clock)
    gateway = StripeGateway(settings)
    mailbox = Mailbox(units.writer, mailbox_clock)
    app = create_app(settings, StripeGateway(settings), mailbox, clock)
    sandbox = create_sandbox(
        url=settings.stripe_api_base,
        clock=lambda: clock.instant,
        path=data / "sandbox.sqlite",
        webhook=Webhook(
            url=settings.url("/hooks/stripe"),
            secret=settings.stripe_webhook_secret,
            events=stripe_events.WANTED,
        ),
        terms=Terms(balance_delay=0, finalize_after=0),
        transport=httpx.ASGITransport(app),  # type: ignore[arg-type]  # Litestar is an ASGI application by its own types
        background=False,
    )
    try:
        async with app.lifespan(), sandbox.lifespan(), serving(app, sandbox, settings):
            life = Life(
                units, gateway, sandbox, clock, mailbox_clock, worker.assemble(units, gateway, mailbox)
            )
            return await life.live(network_port)
    finally:
        await gateway.close()
        await units.close()


@asynccontextmanager
async def serving(app: Litestar, sandbox: Litestar, settings: Settings) -> AsyncIterator[None]:
    """Serve the sandbox where the adapter looks for it: payments go over HTTP in the demo's past, too."""
    web = server(
        Mounted(app, sandbox), host="127.0.0.1", port=int(settings.issuer.rpartition(":")[2]), lifespan="off"
    )
    async with anyio.create_task_group() as group:
        group.start_soon(web.serve)
        await answering(f"{settings.stripe_api_base}/faults")
        yield
        web.should_exit = True


Happening = Callable[[], Awaitable[object]]


class Life:
    """The people, what happens to them on which day, and what carries it out."""

    def __init__(
        self,
        units: Units,
        gateway: Gateway,
        sandbox: Litestar,
        clock: PastClock,
        mailbox_clock: FixedClock,
        worker_of: worker.Worker,
    ):
        """Take what the seeding has put together."""
        self.units = units
        self.gateway = gateway
        self.sandbox: Sandbox = sandbox.state.sandbox
        self.pages = httpx.AsyncClient(transport=httpx.ASGITransport(Mounted(sandbox, sandbox)))  # type: ignore[arg-type]  # Litestar is an ASGI application by its own types
        self.clock = clock
        self.mailbox_clock = mailbox_clock
        self.worker = worker_of
        self.began = clock.instant
        self.accounts: dict[str, UUID] = {}
        self.digest = ""
        self.latecomers = [Person(handle, joins=DAYS - 1, habit="sponsored") for handle in LATECOMERS]
        self.calendar: dict[int, list[Happening]] = {}

    def on(self, day: int, happening: Happening) -> None:
        """Let something happen on a day after the founding."""
        if 0 <= day <= DAYS:
            self.calendar.setdefault(day, []).append(happening)

    async def live(self, network_port: int) -> Story:
        """Let every day come to pass, and return what later starts must know."""
        async with self.units.open() as work:
            await policies.found(work)
        self.digest = await Hasher(workers=1).digest(PASSWORD)
        people = everybody()
        for person in people:
            self.on(person.joins, partial(self.join, person))
        others.arrive(self)
        self.on(6, self.appoint)
        neighbourhood = neighbours.Neighbourhood(self.units, self.accounts, network_port)
        self.on(10, neighbourhood.arrive)
        for day in range(40, DAYS, 30):
            self.on(day, neighbourhood.mingle)
            self.on(day, partial(self.bills, day))
        self.on(45, self.grant)
        for day, handle, minor in (
            (100, "cleo", 10000),
            (300, "hugo", 7500),
            (420, "dara", 5000),
            (600, "ines", 5000),
        ):
            self.on(day, partial(self.pay, handle, minor, "sponsor"))
        motions = assembly.Assembly(self.units, self.accounts)
        motions.fill(self.on, DAYS)
        self.on(DAYS - 1, self.queue)
        for day in range(DAYS + 1):
            await self.day(day)
        await self.pages.aclose()
        return Story(
            members=[await self.member(person) for person in self.introduced(people)],
            clients=neighbourhood.clients,
            networks=neighbourhood.networks,
            steward="ada",
            voter=motions.voter,
            others=others.called(),
        )

    async def day(self, number: int) -> None:
        """Let one day come to pass; quiet days go by in weeks."""
        happenings = self.calendar.get(number, [])
        if not happenings and number % 7 and number != DAYS:
            return
        self.clock.instant = self.began + timedelta(days=number)
        self.mailbox_clock.instant = self.clock.instant
        for happening in happenings:
            await happening()
        await self.settle(everything=not number % 7 or number == DAYS)

    async def settle(self, *, everything: bool = False) -> None:
        """Let the sandbox bill and tell, and the worker do what is due.

        The jobs have their turn once a week here, not once a second, but for the one that somebody waits for; and what
        webhooks tell needs no reconciliation.
        """
        await self.sandbox.settle()
        for job in self.worker.jobs:
            if job.name == "grant_places" or (everything and job.name != "reconcile"):
                await job.run()
        await replace(self.worker, jobs=()).drain()

    async def join(self, person: Person) -> None:
        """Open an account and begin a membership, each as they can."""
        await self.open_account(person)
        if person.habit == "sponsored":
            await self.ask(person.handle)
            for years in (1, 2):
                self.on(person.joins + years * YEAR - 5, partial(self.ask, person.handle))
            return
        await self.pay(person.handle, PAYS[person.habit], automatic=person.habit == "automatic")
        if person.habit not in {"automatic", "lapsed"}:
            for years in (1, 2):
                renew = partial(self.pay, person.handle, PAYS[person.habit])
                self.on(person.joins + years * YEAR - 10, renew)

    async def open_account(self, person: Person) -> None:
        """Open an account whose address is confirmed."""
        async with self.units.open() as work:
            account = await accounts.register(
                work, handle=person.handle, email=person.email, password_digest=self.digest
            )
            account.email_verified_at = work.now
            self.accounts[person.handle] = account.id

    async def ask(self, handle: str) -> None:
        """Ask for a sponsored place."""
        async with self.units.open() as work:
            await queue.ask(work, self.accounts[handle])

    async def pay(
        self,
        handle: str,
        minor: int,
        purpose: Purpose = "dues",
        *,
        automatic: bool = False,
        instalments: bool = False,
    ) -> None:
        """Choose what to pay and pay it on the sandbox's hosted page."""
        wish = Wish(
            account_id=self.accounts[handle],
            amount=Money(minor),
            purpose=purpose,
            automatic=automatic,
            instalments=instalments,
        )
        url = await checkout.begin(self.units, self.gateway, wish, key=secrets.token_urlsafe(16))
        if url.startswith("/"):
            return  # The pool had nothing to add: they wait in the queue.
        answer = await self.pages.post(url, data=CARD)
        if answer.status_code != httpx.codes.SEE_OTHER:
            msg = f"the sandbox did not take a payment of the demo: {answer.status_code}"
            raise RuntimeError(msg)
        await self.sandbox.settle()

    async def appoint(self) -> None:
        """Let the founders give the first roles, which end."""
        async with self.units.open() as work:
            until = self.began + timedelta(days=DAYS + 300)
            first: tuple[tuple[str, RoleName], ...] = (
                ("ada", "steward"),
                ("bo_lindqvist", "steward"),
                ("cleo", "treasurer"),
                # Cash and large sums take two.
                ("ada", "treasurer"),
            )
            for handle, role in first:
                await roles.grant(
                    work,
                    self.accounts[handle],
                    role,
                    until=until,
                    act="founding",
                    reason="The founders' first meeting",
                )

    async def grant(self) -> None:
        """Receive a grant, which pays the first year's hosting."""
        async with self.units.open() as work:
            await post(
                work,
                source="bank",
                external_id="grant-1",
                description="Grant of the Commons Fund",
                postings=[debit(BANK, Money(60000)), credit(GRANTS, Money(60000))],
            )

    async def bills(self, day: int) -> None:
        """Pay the month's hosting bill."""
        async with self.units.open() as work:
            await post(
                work,
                source="bank",
                external_id=f"hosting-{day}",
                description="Hosting",
                postings=[debit(HOSTING, Money(1900)), credit(BANK, Money(1900))],
            )

    async def queue(self) -> None:
        """Let newcomers ask until the pool is low: the last of them waits with a place in the queue."""
        for person in self.latecomers:
            await self.join(person)
            await self.settle()
            async with self.units.read() as work:
                if await places.open_place(work, self.accounts[person.handle]) is not None:
                    return

    def introduced(self, people: list[Person]) -> list[Person]:
        """Return the people to sign in as: a few of each kind first, then everybody else."""
        firsts: list[Person] = []
        for habit in ("yearly", "automatic", "sponsored", "lapsed", "part", "generous"):
            firsts += [person for person in people if person.habit == habit][:2]
        rest = [person for person in people if person not in firsts]
        late = [person for person in self.latecomers if person.handle in self.accounts]
        return [*firsts, *others.EVERYBODY, *rest, *late]

    async def member(self, person: Person) -> SeededMember:
        """Return how a person stands today."""
        async with self.units.read() as work:
            now = await standing.of(work, self.accounts[person.handle])
            waits = await places.open_place(work, self.accounts[person.handle])
        called = person.standing if now.state != "none" else "queued" if waits else "lapsed"
        return SeededMember(handle=person.handle, email=person.email, standing=called)
