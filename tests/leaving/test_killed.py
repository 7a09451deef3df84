"""Erasures whose process is killed, by `kill -9`, before and after each call to the processor; and the command that asks for one."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import msgspec
from sqlalchemy import select

from coop.billing import cards
from coop.billing.cards import CardVisit, Customer
from coop.billing.payments import Payment
from coop.billing.subscriptions import Subscription
from coop.identity.accounts import Account
from coop.leaving import erasures
from coop.leaving.erasures import Erasure
from coop.ledger.references import PersonReference
from coop.outbox import OutboxMessage, addressed_to, speaks_of
from coop.stewardship import audit
from tests.demo import ROOT
from tests.till import Till

MOST = 60
"""Deaths; there are about thirty moments."""


@asynccontextmanager
async def mortals(till: Till) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start what starts processes that die."""
    about = msgspec.json.encode((till.units.settings, till.clock.wall())).decode()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.leaving.mortal", about),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def killed_everywhere(till: Till) -> list[str]:
    """Let one process after the other die, each at another moment, until one comes to the end; return the moments."""
    moments: list[str] = []
    async with mortals(till) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(MOST):
            process.stdin.write(json.dumps(moments).encode() + b"\n")
            said = (await process.stdout.readline()).decode().strip()
            if said == "0":
                return moments
            assert int(await process.stdout.readline()) == -signal.SIGKILL
            moments.append(said)
    raise AssertionError(moments)


async def lived(till: Till) -> Account:
    """Give somebody who renews by herself, gives each month, and has pages open on which she could pay and leave a card."""
    ada = await till.person()
    await till.pay(ada, automatic=True)
    await till.pay(ada, 500, purpose="sponsor", automatic=True)
    async with till.units.open() as work:
        await erasures.ask(work, ada.id)
    till.clock.advance(timedelta(days=14) - timedelta(minutes=1))
    await till.work()
    await till.begin(ada, 700, purpose="sponsor")
    await cards.begin(till.units, till.gateway, account_id=ada.id, next_path="/account", key=uuid4().hex)
    till.clock.advance(timedelta(minutes=1))
    return ada


async def test_killed_before_and_after_each_call_it_is_done_once_in_the_end(till: Till) -> None:
    ada = await lived(till)

    moments = await killed_everywhere(till)
    await till.work()
    await till.sandbox.settle()
    await till.work()

    # Nothing of this is a matter of luck: each call was reached, and survived on either side.
    assert {moment.partition(" ")[2] for moment in moments} >= {
        "post /checkout/sessions/ID/expire",
        "delete /subscriptions/ID",
        "delete /customers/ID",
    }
    assert {moment.partition(" ")[0] for moment in moments} == {"before", "after"}
    async with till.units.read() as work:
        known = await erasures.of(work, ada.id)
        assert known is not None
        assert known.state == "done"
        last = await work.session.scalars(select(OutboxMessage).where(addressed_to("ada@example.org")))
        announced = await work.session.scalars(
            select(OutboxMessage).where(speaks_of(ada.id), OutboxMessage.kind == "AccountErased")
        )
        assert len(list(last)) + len(list(announced)) <= 2
        states = list(await work.session.scalars(select(Subscription.status)))
    assert states == ["canceled", "canceled"]
    assert len([one for one in till.postbox.letters if "is erased" in one.subject]) == 1
    ended = Counter(one["type"] for one in await till.sandbox.run(lambda desk: desk.where("event")))
    assert (ended["customer.deleted"], ended["customer.subscription.deleted"]) == (1, 2)
    assert await till.count(Payment) == 2
    for rows in (Customer, CardVisit, PersonReference):
        assert await till.count(rows) == 0


async def test_the_command_killed_at_any_time_asks_once(till: Till) -> None:
    ada = await till.person()
    settings = till.units.settings
    environment = {
        "COOP_DATABASE_URL": settings.database_url,
        "COOP_DEMO": "true",
        "COOP_ISSUER": settings.issuer,
        "COOP_SECRET_KEY": settings.secret_key,
        "COOP_PAIRWISE_SECRET": settings.pairwise_secret,
        "PATH": "/usr/bin:/bin",
    }

    async def command() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "coop.cli", "member", "erase", "ada", "--reason", "She asked by letter"),
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
        )

    killed = await command()
    # Another process writes it, of whom nothing can be asked but the database.
    while killed.returncode is None and not await till.count(Erasure):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    if killed.returncode is None:
        killed.kill()
    await killed.wait()
    again = await command()

    assert await again.wait() == 0
    assert await till.count(Erasure) == 1
    async with till.units.read() as work:
        assert len(await audit.about(work, ada.id)) == 1
        letters = await work.session.scalars(select(OutboxMessage).where(addressed_to("ada@example.org")))
        assert len(list(letters)) == 1
