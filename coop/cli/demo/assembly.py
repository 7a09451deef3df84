"""The demo's assembly: two motions that are history, one that is being voted on, one that is being discussed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from coop.governance import announcement, ballots, motions, roll
from coop.governance.ballots import Choice
from coop.unit_of_work import Units

On = Callable[[int, Callable[[], Awaitable[object]]], None]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A motion as its proposer would write it, and how people will vote."""

    title: str
    text: str
    argument_for: str
    argument_against: str
    kind: str
    patch: dict[str, object]
    votes: dict[Choice, int] = field(default_factory=dict)


CAP = Proposal(
    title="Begin at most forty sponsored places a month",
    text="Let the pool begin at most 40 first sponsored places in a month, instead of 100. People who wait keep their place in the queue.",
    argument_for="We are sixty people. A hundred places in one month would let strangers outnumber us before anybody had met them.",
    argument_against="Nobody has abused the pool so far, and a lower cap makes honest people wait.",
    kind="pool",
    patch={"max_new_places_month": 40},
    votes={"yes": 19, "no": 4, "abstain": 1},
)
RAISE = Proposal(
    title="Raise the dues to $32 a year",
    text="Raise the price of a membership year from $25 to $32, to pay a part-time moderator for all networks.",
    argument_for="Volunteers burn out. Seven dollars a year from each of us would pay for ten hours of help a month.",
    argument_against="Networks moderate themselves, and well. Who cannot pay more would have to ask the pool, which is small.",
    kind="dues",
    patch={"price": 3200, "suggested": [500, 1500, 3200, 5000]},
    votes={"yes": 14, "no": 15, "abstain": 2},
)
HOSTING = Proposal(
    title="Raise the dues to $27 a year",
    text="Raise the price of a membership year from $25 to $27. Years that have begun keep their price; the new one holds for new and renewed years.",
    argument_for="Hosting costs a fifth more than two years ago, and the reserve should not pay for it. Two dollars keep the shares of the networks whole.",
    argument_against="The reserve has grown every month. Let us spend it first, and keep the price that everybody knows.",
    kind="dues",
    patch={"price": 2700, "suggested": [500, 1500, 2700, 4000]},
    votes={"yes": 17, "no": 5, "abstain": 1},
)
SHARES = Proposal(
    title="Give the networks two more percent",
    text="Let 62 percent of the dues go to the networks instead of 60, and 8 percent to the reserve instead of 10.",
    argument_for="The reserve covers a year of operations by now; the networks are what we are here for.",
    argument_against="A reserve is for the year that nobody has foreseen.",
    kind="shares",
    patch={"networks": 6200, "reserve": 800},
)


class Assembly:
    """Proposes, seconds, announces and votes, on the days that the voting policy asks for."""

    def __init__(self, units: Units, accounts: dict[str, UUID]):
        """`accounts` grows while people join."""
        self.units = units
        self.accounts = accounts
        self.voter = "farah"
        """Somebody on the roll of the open motion who never votes in the seeding."""

    def fill(self, on: On, today: int) -> None:
        """Put the motions into the calendar of a life that ends `today`."""
        for begins, proposal in ((320, CAP), (470, RAISE), (today - 12, HOSTING)):
            made: list[UUID] = []
            on(begins, partial(self.propose, proposal, made))
            on(begins + 8, partial(self.announce, made))
            on(begins + 10, partial(self.vote, proposal, made))
        on(today - 3, partial(self.propose, SHARES, []))

    async def propose(self, proposal: Proposal, made: list[UUID]) -> None:
        """Let dara move it, and others second it and argue against it."""
        async with self.units.open() as work:
            motion = await motions.draft(
                work,
                self.accounts["dara"],
                title=proposal.title,
                text=proposal.text,
                argument_for=proposal.argument_for,
                kind=proposal.kind,
                patch=proposal.patch,
            )
            made.append(motion.id)
            await motions.argue_against(work, motion.id, self.accounts["eliasz"], proposal.argument_against)
            for handle in ("ada", "bo_lindqvist", "cleo", "eliasz"):
                if (await motions.get(work, motion.id)).state == "draft":
                    await motions.second(work, motion.id, self.accounts[handle])

    async def announce(self, made: list[UUID]) -> None:
        """Freeze text and roll, and open the vote."""
        async with self.units.open() as work:
            motion = await announcement.announce(work, made[0], self.accounts["dara"])
            if motion.state != "open":
                msg = f"the demo's motion is {motion.state}, not open"
                raise RuntimeError(msg)

    async def vote(self, proposal: Proposal, made: list[UUID]) -> None:
        """Let the oldest members vote, each in a unit of their own, as they would."""
        choices = [choice for choice, times in proposal.votes.items() for _ in range(times)]
        for handle, account_id in self.accounts.items():
            async with self.units.read() as work:
                # `None` for whoever is not on the roll.
                free = await roll.used(work, made[0], account_id) is False
            if choices and free and handle != self.voter:
                async with self.units.open() as work:
                    await ballots.cast(work, made[0], account_id, choices.pop())
        if choices:
            msg = f"the demo's roll is too short for {len(choices)} of its votes"
            raise RuntimeError(msg)
