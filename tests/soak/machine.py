"""The life of money, played by Hypothesis: people, banks, networks of machines and accidents, in any order and at once."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coop.billing.intents import Purpose
from tests.soak import agreement, company, leaving, treasury
from tests.soak.ground import Ground
from tests.soak.stage import Died
from tests.soak.world import PEOPLE, World, world

BEGINNINGS = (
    datetime(2026, 3, 2, 12, 0, tzinfo=UTC),
    # The last day of the month with the fewest days, in a leap year.
    datetime(2028, 2, 29, 10, 0, tzinfo=UTC),
    # A month's end that most months do not have, with the leap day inside the year that follows.
    datetime(2027, 12, 31, 23, 30, tzinfo=UTC),
)
CHECKED_EVERY = 4
APART = 30
"""Steps between two comparisons, which take as long as twenty steps do; a difference stays until the next one sees it."""
COOLING = (0, 0, 1, 14)
"""Days in which one may change one's mind before an erasure; without any, all its stages are soon reached."""
TIMES = (
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(hours=23),
    timedelta(hours=25),
    timedelta(days=6),
    timedelta(days=8),
    timedelta(days=14),
    timedelta(days=27),
)
LONG = timedelta(days=336)
"""A year but for its last weeks; each of them costs as much as a hundred steps, so there are few."""
WORKS, DECLINED, ASKS, FAILS_LATER, DISPUTED, DEBIT, DEBIT_FAILS = (
    "4242424242424242",
    "4000000000000002",
    "4000002500003155",
    "4000000000000341",
    "4000000000000259",
    "000123456789",
    "000222222227",
)

who = some.integers(0, len(PEOPLE) - 1)
which = some.integers(0, 20)
cents = some.sampled_from((100, 500, 1000, 2400, 2500, 2500, 2501, 4000, 7500)) | some.integers(50, 12_000)
contribution = some.sampled_from((0, 0, 500, 1000, 2499)) | some.integers(0, 2499)
cards = some.sampled_from((WORKS, WORKS, WORKS, ASKS, DECLINED, FAILS_LATER, DISPUTED, DEBIT, DEBIT_FAILS))
purposes = some.sampled_from(("dues", "dues", "dues", "dues", "sponsor", "gift"))
offline = some.sampled_from(("dues", "dues", "household", "gift", "sponsor"))
flags = some.booleans()
# Mostly the process lives; else it dies at one of the boundaries that are ahead.
fuses = some.none() | some.none() | some.none() | some.integers(0, 12)

Act = Callable[..., Awaitable[None]]
Choice = tuple[Act, dict[str, Any]]
"""What may be done with a world, and what it is given."""


def choice(act: Act, **given: some.SearchStrategy[Any]) -> some.SearchStrategy[Choice]:
    """Return a strategy for one thing that may happen."""
    return some.tuples(some.just(act), some.fixed_dictionaries(given))


BY_PEOPLE = some.one_of(
    choice(World.pay, who=who, cents=cents, purpose=purposes, automatic=flags),
    choice(World.wish_again, which=which),
    choice(World.enter_card, page=which, card=cards),
    choice(World.come_back, who=who),
    choice(World.ask, who=who, cents=contribution),
    choice(World.leave_queue, who=who),
    choice(World.claim, who=who, which=which),
    choice(World.withdraw, who=who),
    choice(World.stop, who=who),
    choice(World.press_again, which=which),
)
IN_COMPANY = some.one_of(
    choice(company.pay_by_instalments, who=who, cents=cents),
    choice(company.pay_for_household, who=who, cents=cents),
    choice(company.join_household, who=who, payer=who),
    choice(company.leave_household, who=who),
    choice(company.give_household_back, who=who, which=which),
    choice(company.become_organisation, who=who),
    choice(company.turn_back, who=who),
    choice(
        company.change_renewal,
        who=who,
        what=some.sampled_from(("amount", "amount", "pause", "resume")),
        cents=cents,
    ),
    choice(company.leave_card, who=who, card=some.sampled_from((WORKS, ASKS, FAILS_LATER))),
    choice(company.take_gift_back, which=which),
    choice(company.stop_giving, who=who),
)
BY_STEWARDS = some.one_of(
    choice(treasury.announce_transfer, who=who, cents=cents, purpose=offline),
    choice(
        treasury.read_statement,
        credits=some.lists(
            some.tuples(which, some.sampled_from((0, 0, 0, -100, 500))), min_size=1, max_size=3
        ),
        twice=flags,
    ),
    choice(treasury.take_cash, who=who, cents=cents, purpose=offline),
    choice(treasury.give_back, which=which, cents=cents),
    choice(treasury.settle_lost_dispute, which=which, cents=cents),
    choice(
        treasury.judge_credit,
        which=which,
        who=who,
        fate=some.sampled_from(("dues", "household", "gift", "give", "send back")),
    ),
    choice(treasury.approve, which=which, same=some.sampled_from((False, False, True))),
    choice(treasury.send_by_hand, which=which),
    choice(
        treasury.import_members,
        members=some.lists(some.integers(0, len(PEOPLE) + 1), min_size=1, max_size=3),
        days=some.integers(-90, 366),
    ),
)
LEAVING = some.one_of(
    choice(leaving.ask_to_be_erased, who=who, in_writing=some.sampled_from((False, False, False, True))),
    choice(leaving.stay, who=who),
    choice(leaving.go_on),
    choice(leaving.go_on),
    choice(leaving.arrive, who=who),
)
BY_HANDS = BY_PEOPLE | IN_COMPANY | BY_STEWARDS | LEAVING
AT_STRIPE = some.one_of(
    choice(World.answer_bank, confirmed=flags),
    choice(World.change_card, who=who, card=some.sampled_from((WORKS, FAILS_LATER))),
    choice(World.dispute, which=which),
    choice(World.settle_dispute, which=which, won=flags),
    choice(World.refund_at_stripe, which=which, cents=cents),
    choice(World.lose_answers, count=some.integers(1, 3)),
)
BY_MACHINES = some.one_of(
    choice(
        World.deliver,
        order=some.lists(some.integers(0, 30), min_size=8, max_size=8),
        fates=some.lists(some.sampled_from(("once", "once", "twice", "lost")), min_size=3, max_size=8),
    ),
    choice(World.job, which=which),
)
TIME = choice(World.pass_time, by=some.sampled_from((*TIMES, *TIMES, *TIMES, LONG)), heard=flags)


class LifeOfMoney(RuleBasedStateMachine):
    """A cooperative to which everything happens; `ground` is set by whoever runs it."""

    ground: Ground

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.url, self.discard = type(self).ground()
        self.steps = self.rested = 0
        self.opened: contextlib.AbstractAsyncContextManager[World] | None = None
        self.world: World

    @initialize(begins=some.sampled_from(BEGINNINGS), cooling=some.sampled_from(COOLING))
    def begin(self, begins: datetime, cooling: int) -> None:
        """Open the cooperative for business."""
        self.opened = world(self.url, begins)
        self.world = self.runner.run(self.opened.__aenter__())
        self.runner.run(leaving.cool_for(self.world, cooling))

    @rule(who=who, cents=cents, purpose=purposes, automatic=flags, card=cards, fuse=fuses)
    def pay(
        self, who: int, cents: int, purpose: Purpose, card: str, fuse: int | None, *, automatic: bool
    ) -> None:
        """Choose an amount and pay it, whatever happens to the process in between."""
        self.live(partial(self.world.pay, who=who, cents=cents, purpose=purpose, automatic=automatic), fuse)
        self.live(partial(self.world.enter_card, page=-1, card=card))

    @rule(choice=BY_PEOPLE, fuse=fuses)
    def choose(self, choice: Choice, fuse: int | None) -> None:
        """Let somebody do something else."""
        self.live(self.of(choice), fuse)

    @rule(choice=IN_COMPANY, fuse=fuses, card=cards, pays=flags)
    def keep_company(self, choice: Choice, fuse: int | None, card: str, *, pays: bool) -> None:
        """Let somebody do what takes more than oneself and a card; a page that it opens may be paid."""
        self.live(self.of(choice), fuse)
        if pays:
            self.live(partial(self.world.enter_card, page=-1, card=card))

    @rule(choice=BY_STEWARDS, fuse=fuses)
    def keep_the_till(self, choice: Choice, fuse: int | None) -> None:
        """Let a treasurer act, or money come past the processor."""
        self.live(self.of(choice), fuse)

    @rule(choice=LEAVING, fuse=fuses)
    def leave(self, choice: Choice, fuse: int | None) -> None:
        """Let somebody have their account erased, or change their mind, or the erasure go on."""
        self.live(self.of(choice), fuse)

    @rule(choice=AT_STRIPE)
    def happen_at_stripe(self, choice: Choice) -> None:
        """Let something happen that the cooperative learns of later, if at all."""
        self.live(self.of(choice))

    @rule(choice=BY_MACHINES, fuse=fuses)
    def work(self, choice: Choice, fuse: int | None) -> None:
        """Let webhooks come, or a job run."""
        self.live(self.of(choice), fuse)

    @rule(choice=TIME)
    def wait(self, choice: Choice) -> None:
        """Let time pass."""
        self.live(self.of(choice))

    @rule(
        first=BY_HANDS | BY_MACHINES,
        second=BY_HANDS | BY_MACHINES,
        turns=some.lists(some.integers(0, 1), max_size=12),
        fuse=fuses,
    )
    def at_once(self, first: Choice, second: Choice, turns: list[int], fuse: int | None) -> None:
        """Let two things happen at once."""
        self.live(partial(self.world.stage.play, self.of(first), self.of(second), turns=turns), fuse)

    @precondition(lambda self: self.steps - self.rested >= APART)
    @rule(heard=flags)
    def come_to_rest(self, *, heard: bool) -> None:
        """Let everything come to rest, and compare."""
        self.live(partial(self.world.reconcile, heard=heard))
        self.rested = self.steps
        self.runner.run(agreement.agreed(self.world))

    @invariant()
    def the_books_are_whole(self) -> None:
        """Check the books now and then; what is wrong with them stays wrong, since nothing in them can be changed."""
        self.steps += 1
        if self.steps % CHECKED_EVERY == 0:
            self.runner.run(agreement.whole(self.world))

    def of(self, choice: Choice) -> Callable[[], Awaitable[None]]:
        """Return what is to be done for a choice."""
        act, given = choice
        return partial(act, self.world, **given)

    def live(self, act: Callable[[], Awaitable[None]], fuse: int | None = None) -> None:
        """Let something happen, in a process that may die of it; afterwards time is never quite the same."""

        async def happen() -> None:
            self.world.stage.fuse = fuse
            with contextlib.suppress(Died):
                try:
                    await act()
                except BaseExceptionGroup as group:
                    # Of those who acted at once, some died of the same death.
                    if group.split(Died)[1] is not None:
                        raise
            self.world.stage.fuse = None

        self.runner.run(happen())
        self.world.clock.advance(timedelta(seconds=1))

    def teardown(self) -> None:
        """Come to rest without a single webhook, compare, and throw the database away."""
        try:
            if self.opened is not None:
                self.come_to_rest(heard=False)
        finally:
            if self.opened is not None:
                self.runner.run(self.opened.__aexit__(None, None, None))
            self.runner.close()
            self.discard()
