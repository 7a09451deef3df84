"""A cooperative with its till open: founded, served, and joined to the real sandbox over a loopback socket."""

import contextlib
import functools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import ColumnElement, select

from api.app import build, join
from api.sandbox import Sandbox, Terms, Webhook, create_sandbox
from api.sandbox.webhooks import sign
from coop import ledger, policies, worker
from coop.billing import checkout, checks, giving
from coop.billing.gateway import Gateway
from coop.billing.intents import Purpose, Wish
from coop.billing.stripe_gateway import StripeGateway
from coop.clock import FixedClock
from coop.database import Base
from coop.identity.accounts import Account
from coop.ledger import LedgerAccount
from coop.membership import standing, terms
from coop.membership.terms import Term
from coop.money import Money
from coop.policies import Policy
from coop.settings import Settings
from coop.sponsorship import gifts, places, queue
from coop.sponsorship.gifts import Gift
from coop.sponsorship.places import Place
from coop.unit_of_work import Units
from tests.conftest import Postbox
from tests.cooperative import found
from tests.people import register, signed_in
from tests.sandbox.conftest import Sink, served
from tests.sandbox.recorder import Recorder, faults_of_events

AT_ONCE = Terms(balance_delay=0, dispute_delay=0, delivery_delays=(60, 120))
WORKS = "4242424242424242"


@dataclass
class Till:
    """What a test of money holds in its hands."""

    units: Units
    gateway: Gateway
    sandbox: Sandbox
    clock: FixedClock
    browser: httpx.AsyncClient
    app: Litestar
    postbox: Postbox

    async def person(self, handle: str = "ada", *, verified: bool = True) -> Account:
        """Register somebody with an e-mail address."""
        return await register(self.units, handle, email=f"{handle}@example.org", verified=verified)

    @contextlib.asynccontextmanager
    async def visitor(self, account: Account | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """Give a browser on our pages, signed in as `account`."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url=self.units.settings.issuer,
            headers={"Accept": "text/html"},
        ) as client:
            yield client if account is None else await signed_in(client, self.units, account)

    async def begin(
        self,
        account: Account,
        cents: int = 2500,
        *,
        purpose: Purpose = "dues",
        automatic: bool = False,
        instalments: bool = False,
        key: str | None = None,
    ) -> str:
        """Begin a checkout and return where it leads."""
        wish = Wish(
            account_id=account.id,
            amount=Money(cents),
            purpose=purpose,
            automatic=automatic,
            instalments=instalments,
        )
        return await checkout.begin(self.units, self.gateway, wish, key=key or uuid4().hex)

    async def enter(self, url: str, card: str = WORKS) -> httpx.Response:
        """Enter a card on the hosted page."""
        return await self.browser.post(url, data={"number": card, "expiry": "12 / 34", "cvc": "123"})

    async def pay(
        self,
        account: Account,
        cents: int = 2500,
        *,
        purpose: Purpose = "dues",
        automatic: bool = False,
        instalments: bool = False,
        card: str = WORKS,
        settle: bool = True,
    ) -> str:
        """Pay on the hosted page and, unless said otherwise, let the webhooks come; return the page's address."""
        url = await self.begin(account, cents, purpose=purpose, automatic=automatic, instalments=instalments)
        answer = await self.enter(url, card)
        assert answer.status_code == 303, re.findall(r"<h2>(.*?)</h2>|error\">(.*?)<", answer.text)
        if settle:
            await self.sandbox.settle()
        return url

    @contextlib.asynccontextmanager
    async def withheld(self) -> AsyncIterator[Sink]:
        """Catch the webhooks that are sent meanwhile, rather than deliver them."""
        sink, usual = Sink(), self.sandbox.transport
        self.sandbox.transport = httpx.ASGITransport(sink)
        try:
            yield sink
        finally:
            self.sandbox.transport = usual

    async def told(self, body: bytes, signature: str) -> httpx.Response:
        """Post a webhook as Stripe would."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url=self.units.settings.issuer
        ) as client:
            return await client.post(
                "/hooks/stripe", content=body, headers={"Stripe-Signature": signature, "Accept": "*/*"}
            )

    def signed(self, body: bytes, *, secret: str | None = None, ahead: int = 0) -> str:
        """Sign a webhook."""
        stamp = int(self.clock.wall().timestamp()) + ahead
        return sign(body, [secret or self.units.settings.stripe_webhook_secret], stamp)

    async def state(self, account: Account) -> str:
        """Return a person's standing."""
        async with self.units.read() as work:
            return (await standing.of(work, account.id)).state

    async def place(self, account: Account) -> Place | None:
        """Return a person's open request."""
        async with self.units.read() as work:
            return await places.open_place(work, account.id)

    async def ask(self, account: Account, cents: int = 0) -> Place:
        """Ask for a place."""
        async with self.units.open() as work:
            return await queue.ask(work, account.id, contribution=Money(cents))

    async def work(self) -> None:
        """Have the worker do everything that is due."""
        await worker.assemble(self.units, self.gateway, self.postbox).drain()

    async def claim(self, account: Account, gift: Gift) -> bool:
        """Take a gift up by its link."""
        secret = gifts.code(self.units.settings, gift.id)
        return await giving.claim(self.units, self.gateway, account_id=account.id, secret=secret)

    async def take_back(self, account: Account, gift: Gift) -> str:
        """Take a gift back that one gave."""
        return await giving.take_back(
            self.units, self.gateway, account_id=account.id, gift_id=gift.id, key=uuid4().hex
        )

    async def books(self) -> dict[str, int]:
        """Return the balances that are not zero, in cents, positive on the side on which they grow."""
        async with self.units.read() as work:
            sums = await ledger.trial_balance(work)
        return {
            name.partition(":")[2]: ledger.natural(name, amount).minor
            for name, amount in sums.items()
            if amount
        }

    async def balance(self, name: LedgerAccount) -> int:
        """Return one balance in cents."""
        async with self.units.read() as work:
            return (await ledger.balance(work, name)).minor

    async def count(self, model: type[Base], *conditions: ColumnElement[bool]) -> int:
        """Count rows."""
        async with self.units.read() as work:
            return len(list(await work.session.scalars(select(model).where(*conditions))))

    async def adopt(self, kind: type[Policy], **changes: object) -> None:
        """Change the law at once, as a carried motion would after its cooling-off."""
        async with self.units.open() as work:
            law = await policies.in_force(work, kind)
            await policies.adopt(
                work,
                msgspec.structs.replace(law.document, **changes),
                act="motion:00000000-0000-4000-8000-000000000000",
                effective_at=work.now,
                replaces=law.hash,
            )

    async def endow(self, cents: int = 10_000) -> None:
        """Give the co-op a reserve, on which losses can fall."""
        async with self.units.open() as work:
            await ledger.post(
                work,
                source="manual",
                external_id=uuid4().hex,
                description="The founders' reserve",
                postings=[
                    ledger.debit(ledger.BANK, Money(cents)),
                    ledger.credit(ledger.RESERVE, Money(cents)),
                ],
            )

    async def sponsor(self, cents: int, handle: str = "grace") -> Account:
        """Have somebody fill the pool."""
        giver = await self.person(handle)
        await self.pay(giver, cents, purpose="sponsor")
        return giver

    async def terms_of(self, account_id: UUID) -> list[Term]:
        """Return somebody's years."""
        async with self.units.read() as work:
            return await terms.history(work, account_id)


@pytest.fixture
async def sandbox(clock: FixedClock, settings: Settings) -> AsyncIterator[tuple[Sandbox, str]]:
    """Serve a sandbox, whose webhooks go to whatever transport it is given; the adapter must ask as Stripe has published."""
    made: list[Sandbox] = []
    recorders: list[Recorder] = []

    def make(url: str) -> Recorder:
        app = create_sandbox(
            url=url,
            clock=clock.wall,
            terms=AT_ONCE,
            webhook=Webhook(
                url=settings.url("/hooks/stripe"), secret=settings.stripe_webhook_secret.partition(",")[0]
            ),
            background=False,
        )
        made.append(app.state.sandbox)
        made[0].wall = clock.wall
        recorders.append(Recorder(app))
        return recorders[0]

    async with served(make) as url:
        yield made[0], url
        assert recorders[0].faults(asked=True) == []
        assert faults_of_events(made[0]) == []


@functools.cache
def routes() -> Litestar:
    """Register the routes once for all tills of a process."""
    return build()


@pytest.fixture
async def till(
    settings: Settings, clock: FixedClock, sandbox: tuple[Sandbox, str], postbox: Postbox
) -> AsyncIterator[Till]:
    """Open the till of a founded cooperative; the books must balance when the test is over."""
    paid_by, url = sandbox
    settings = msgspec.structs.replace(settings, stripe_api_base=url)
    gateway = StripeGateway(settings)
    units = Units(settings, clock)
    app = join(routes(), units, gateway, postbox)
    paid_by.transport = httpx.ASGITransport(app)
    async with app.lifespan(), httpx.AsyncClient(trust_env=False) as browser:
        await found(units)
        till = Till(units, gateway, paid_by, clock, browser, app, postbox)
        yield till
        await balanced(till)


async def balanced(till: Till) -> None:
    """Assert what must hold of the books after anything whatsoever."""
    async with till.units.snapshot() as work:
        report = await checks.run(work)
    assert report.ok, [check for check in report.checks if not check.ok]


def hidden(page: httpx.Response, name: str) -> str:
    """Return the value of a hidden field of a page's form."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text
    return found[1]
