"""The people of the demo: who they are, when they joined, and what they can pay."""

from dataclasses import dataclass
from typing import Literal

Habit = Literal["automatic", "yearly", "generous", "part", "sponsored", "lapsed"]

# Handles that belong to nobody; ada keeps things running, and the newcomer of the README is not among them.
FOUNDERS = ("ada", "bo_lindqvist", "cleo", "dara", "eliasz")
OTHERS = tuple(
    "farah gita hugo ines jonas kaja lior marta nadia oskar petra quentin rosa samir tomek ursula vesna wanda ximena "
    "yusuf zofia amara benoit chiara dmitri esra florent greta hana ivo judith karim lucie mateo noor olga pavel "
    "renata selim teodor una viktor willow yara zeno anouk bilal celeste dorota emre".split()
)
# They ask for sponsored places yesterday, until one has to wait.
LATECOMERS = tuple(
    "hedda jarek ilse klara fabien maud nikola oriane piotr ruta sylvie tadeo ulla vilma wiktor xaver yolande zdenka".split()
)


@dataclass(frozen=True, slots=True)
class Person:
    """One person's life in the demo; days are counted from the founding."""

    handle: str
    joins: int
    habit: Habit

    @property
    def email(self) -> str:
        """Where letters reach them, in the demo's mailbox."""
        return f"{self.handle}@people.example"

    @property
    def standing(self) -> str:
        """What the demo's manifest calls them."""
        return {"part": "part-paying", "sponsored": "sponsored", "lapsed": "lapsed"}.get(self.habit, "paying")


def everybody() -> list[Person]:
    """Return the sixty-odd people, in the order in which they joined over two years."""
    habits: tuple[Habit, ...] = (
        "yearly",
        "automatic",
        "part",
        "generous",
        "yearly",
        "sponsored",
        "automatic",
        "lapsed",
    )
    people = [Person(handle, joins=index, habit="generous") for index, handle in enumerate(FOUNDERS)]
    not_a_year_ago = 280
    # The first arrive a week after the founding; the last, three months ago, may vote on the open motion.
    step = 600 / len(OTHERS)
    for index, handle in enumerate(OTHERS):
        habit = habits[index % len(habits)]
        joins = 8 + int(index * step)
        # Whoever joined within the last year has not come to the end of a year yet.
        people.append(
            Person(
                handle, joins=joins, habit="yearly" if habit == "lapsed" and joins > not_a_year_ago else habit
            )
        )
    return people
