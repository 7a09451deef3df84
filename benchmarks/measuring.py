"""Measuring: contenders take turns, round by round, so that a machine that slows down slows all of them down alike."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks import processes
from benchmarks.contenders import Contender
from benchmarks.load import Sample


@dataclass
class Row:
    """All rounds of one contender on one path."""

    contender: str
    samples: list[Sample] = field(default_factory=list)

    def median(self, of: Callable[[Sample], float]) -> float:
        """Return the median of a figure over the rounds."""
        return statistics.median(of(sample) for sample in self.samples)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.median(lambda sample: sample.rate)

    @property
    def spread(self) -> tuple[float, float]:
        """The slowest and the quickest round."""
        rates = [sample.rate for sample in self.samples]
        return min(rates), max(rates)

    @property
    def failed(self) -> int:
        """Answers that were not as wanted, in all rounds."""
        return sum(sample.failed for sample in self.samples)

    @property
    def server_cpu(self) -> float:
        """Microseconds of the server's processor time for a request."""
        return self.median(lambda sample: sample.server_cpu * 1e6 / max(1, sample.requests))

    @property
    def database_cpu(self) -> float:
        """Microseconds of the database server's processor time for a request."""
        return self.median(lambda sample: sample.database_cpu * 1e6 / max(1, sample.requests))

    def ratio(self, other: "Row") -> float:
        """Return how many times as many requests as `other`, by the median of the rounds that ran side by side."""
        pairs = zip(self.samples, other.samples, strict=True)
        return statistics.median(mine.rate / theirs.rate if theirs.rate else 0.0 for mine, theirs in pairs)


@dataclass
class Table:
    """What was measured of one path, and how much of the machine others used meanwhile."""

    engine: str
    path: str
    rows: list[Row]
    others: list[float] = field(default_factory=list)
    """Shares of the processors, by round."""


async def measure(
    engine: str,
    path: str,
    contenders: Sequence[Contender],
    *,
    rounds: int,
    seconds: float,
    warm_up: float,
    say: Callable[[str], None],
) -> Table:
    """Warm every contender up, then let them take turns."""
    table = Table(engine, path, [Row(contender.name) for contender in contenders])
    for contender in (each for each in contenders if each.warms_up and warm_up):
        say(f"{engine} {path}: {contender.name} warms up")
        await contender.run(warm_up)
    for number in range(rounds):
        for contender, row in zip(contenders, table.rows, strict=True):
            say(f"{engine} {path}: {contender.name}, round {number + 1}")
            began, busy, ours = time.monotonic(), processes.busy_seconds(), processes.cpu_seconds(os.getpid())
            sample = await contender.run(seconds)
            row.samples.append(sample)
            spent = processes.busy_seconds() - busy - (processes.cpu_seconds(os.getpid()) - ours)
            table.others.append(max(0.0, spent / ((time.monotonic() - began) * (os.cpu_count() or 1))))
    return table
