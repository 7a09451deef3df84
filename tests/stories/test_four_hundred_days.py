"""Story 7: two hundred members live four hundred days beside a processor that is badly heard and a service that is killed."""

import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import select

from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.membership.renewal import RenewalNotice
from coop.membership.terms import Term
from tests.soak import agreement
from tests.soak.ground import on_sqlite
from tests.soak.stage import Died
from tests.soak.world import World, world

PEOPLE = [f"member{number:03}" for number in range(200 if "SOAK_STEPS" in os.environ else 25)]
"""Two hundred take a minute and a half; each run of the tests has twenty-five of them."""
BEGINS = datetime(2027, 3, 1, 9, tzinfo=UTC)
WORKS = "4242424242424242"
FATES = ("once", "once", "once", "twice", "lost", "lost")
# Every tenth of those who renew by themselves stops, and every eighth of all gives the year back on the last day.
AUTOMATIC = range(0, len(PEOPLE), 2)
STOP = range(0, len(PEOPLE), 20)
WITHDRAW = range(5, len(PEOPLE), 8)


class Life:
    """A world in which chance, always the same, decides what goes wrong."""

    def __init__(self, lived: World):
        self.world = lived
        self.chance = random.Random(7)
        self.killed = 0

    async def live(self, act: Callable[[], Awaitable[None]]) -> bool:
        """Do something; in one of eight cases the process is killed somewhere on the way."""
        self.world.stage.fuse = self.chance.randrange(10) if self.chance.random() < 1 / 8 else None
        try:
            await act()
        except Died:
            self.killed += 1
            return False
        finally:
            self.world.stage.fuse = None
        return True

    async def join(self, who: int) -> None:
        """Pay; whoever sees an error presses the same button again two minutes later, and enters the card once."""
        pay = partial(
            self.world.pay, who=who, cents=self.chance.choice((2500, 2500, 4000)), automatic=who in AUTOMATIC
        )
        if not await self.live(pay):
            self.world.clock.advance(timedelta(minutes=2))
            await self.world.wish_again(which=len(self.world.wishes) - 1)
        await self.world.enter_card(page=-1, card=WORKS)

    async def hear(self) -> None:
        """Bring all webhooks that wait, in any order; some come twice, a third never comes."""
        for _ in range(3):
            order = [self.chance.randrange(1000) for _ in range(400)]
            fates = self.chance.choices(FATES, k=400)
            await self.live(partial(self.world.deliver, order=order, fates=fates))

    async def days(self, number: float) -> None:
        """Let days pass, at the end of which webhooks come and the jobs run."""
        self.world.clock.advance(timedelta(days=number))
        await self.world.sandbox.tick()
        await self.hear()
        await self.live(self.world.all_jobs)
        await self.live(self.world.all_jobs)

    async def noticed(self) -> Counter[int]:
        """Return how many first years were announced to end, by the days ahead."""
        async with self.world.units.read() as work:
            return Counter(
                await work.session.scalars(
                    select(RenewalNotice.days)
                    .join(Term, Term.id == RenewalNotice.term_id)
                    .where(Term.ordinal == 1)
                )
            )


async def test_members_live_four_hundred_days_and_nothing_differs_in_the_end(
    sqlite_template: Path, fast_path: Path
) -> None:
    url, _ = (await on_sqlite(sqlite_template, fast_path, BEGINS, PEOPLE))()
    async with world(url, BEGINS, PEOPLE) as lived:
        life = Life(lived)
        for who in range(len(PEOPLE)):
            await life.join(who)
        # Within the hour, what the webhooks did not tell is found by the job that asks.
        await life.days(1 / 24)
        await life.days(13)
        lived.clock.advance(timedelta(hours=12))
        for who in WITHDRAW:
            if not await life.live(partial(lived.withdraw, who=who)):
                lived.clock.advance(timedelta(minutes=2))
                await lived.press_again(which=len(lived.keys) - 1)
        for who in STOP:
            await lived.stop(who=who)

        # The year holds a leap day, so it ends 366 days after the first.
        await life.days(320)
        assert await life.noticed() == Counter()
        await life.days(3)
        staying = len(PEOPLE) - len(WITHDRAW)
        assert await life.noticed() == Counter({30: staying})
        await life.days(23)
        assert await life.noticed() == Counter({30: staying, 7: staying})
        for _ in range(5):
            await life.days(8)
        await lived.reconcile(heard=False)

        await agreement.agreed(lived)
        async with lived.units.read() as work:
            paid = Counter(await work.session.scalars(select(Payment.account_id)))
            back = dict((await work.session.execute(select(Payment.account_id, Payment.refunded))).all())
            amounts = dict((await work.session.execute(select(Payment.account_id, Payment.amount))).all())
            refunds = Counter(await work.session.scalars(select(Refund.state)))
        for who, account_id in enumerate(lived.people):
            renews = who in AUTOMATIC and who not in STOP and who not in WITHDRAW
            assert paid[account_id] == (2 if renews else 1), PEOPLE[who]
            if who in WITHDRAW:
                assert back[account_id] == amounts[account_id]
        assert refunds == Counter(sent=len(WITHDRAW))
        assert life.killed > len(PEOPLE) / 10
