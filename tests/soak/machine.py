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
from tests.soak import agreement
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
APART = 15
"""Steps between two comparisons, which take as long as twenty steps do."""
TIMES = (
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(hours=23),
    timedelta(hours=25),
    timedelta(days=6),
    timedelta(days=8),
    timedelta(days=14),
    timedelta(days=27),
    timedelta(days=336),
)
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
flags = some.booleans()
# Mostly the process lives; else it dies at one of the boundaries that are ahead.
fuses = some.none() | some.none() | some.none() | some.integers(0, 12)

Choice = tuple[str, dict[str, Any]]
"""A method of the world, and what it is given."""


def choice(name: str, **given: some.SearchStrategy[Any]) -> some.SearchStrategy[Choice]:
    """Return a strategy for one thing that may happen."""
    return some.tuples(some.just(name), some.fixed_dictionaries(given))


BY_PEOPLE = some.one_of(
    choice("pay", who=who, cents=cents, purpose=purposes, automatic=flags),
    choice("wish_again", which=which),
    choice("enter_card", page=which, card=cards),
    choice("come_back", who=who),
    choice("ask", who=who, cents=contribution),
    choice("leave_queue", who=who),
    choice("claim", who=who, which=which),
    choice("withdraw", who=who),
    choice("stop", who=who),
    choice("press_again", which=which),
)
AT_STRIPE = some.one_of(
    choice("answer_bank", confirmed=flags),
    choice("change_card", who=who, card=some.sampled_from((WORKS, FAILS_LATER))),
    choice("dispute", which=which),
    choice("settle_dispute", which=which, won=flags),
    choice("refund_at_stripe", which=which, cents=cents),
    choice("lose_answers", count=some.integers(1, 3)),
)
BY_MACHINES = some.one_of(
    choice(
        "deliver",
        order=some.lists(some.integers(0, 30), min_size=8, max_size=8),
        fates=some.lists(some.sampled_from(("once", "once", "twice", "lost")), min_size=3, max_size=8),
    ),
    choice("job", which=which),
)
TIME = choice("pass_time", by=some.sampled_from(TIMES), heard=flags)


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

    @initialize(begins=some.sampled_from(BEGINNINGS))
    def begin(self, begins: datetime) -> None:
        """Open the cooperative for business."""
        self.opened = world(self.url, begins)
        self.world = self.runner.run(self.opened.__aenter__())

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
        first=BY_PEOPLE | BY_MACHINES,
        second=BY_PEOPLE | BY_MACHINES,
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
        name, given = choice
        return partial(getattr(self.world, name), **given)

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
