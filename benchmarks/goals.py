"""What the service is meant to reach beside others, measured in one run on one machine; ratios hold, absolutes drift."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measuring import Row, Table

NODE, DJANGO, ARGON2ID = "node-oidc-provider", "django-oauth-toolkit", "argon2id alone"
FIRST_YEAR = "pgbench, the same rows"
MEMORY = 120
"""Megabytes for each process."""


@dataclass(frozen=True, slots=True)
class Goal:
    """How many times as many requests as somebody else, at least."""

    path: str
    beside: str
    ratio: float


GOALS = (
    Goal("client-credentials", NODE, 1.0),
    Goal("client-credentials-jwt", NODE, 1.2),
    Goal("refresh", NODE, 2.0),
    Goal("introspection", NODE, 1.4),
    Goal("client-credentials", DJANGO, 8.0),
    Goal("refresh", DJANGO, 8.0),
    Goal("introspection", DJANGO, 8.0),
    Goal("sign-up", ARGON2ID, 0.7),
    Goal("webhook", FIRST_YEAR, 0.45),
)
SLOWEST = 0.5
"""Of node's p99 on the paths that have a goal beside it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One goal, and where this run stands."""

    what: str
    goal: str
    here: str
    reached: bool


def findings(tables: Sequence[Table]) -> list[Finding]:
    """Return every goal that this run has measured on PostgreSQL, by one process against one process."""
    found = []
    measured = {table.path: table for table in tables if table.engine == "postgresql"}
    for goal in GOALS:
        pair = _pair(measured, goal)
        if pair is not None:
            ratio = pair[0].ratio(pair[1])
            found.append(
                Finding(
                    f"{goal.path}, requests by {goal.beside}",
                    f">= {goal.ratio}",
                    f"{ratio:.2f}",
                    ratio >= goal.ratio,
                )
            )
        if pair is not None and goal.beside == NODE:
            ours, theirs = (row.median(lambda sample: sample.p99) for row in pair)
            found.append(
                Finding(
                    f"{goal.path}, p99 by {goal.beside}",
                    f"<= {SLOWEST:.1f}",
                    f"{ours / theirs:.2f}",
                    ours <= SLOWEST * theirs,
                )
            )
    if measured:
        memory = max(sample.memory for table in measured.values() for sample in table.rows[0].samples)
        found.append(Finding("memory of a process, MB", f"<= {MEMORY}", f"{memory:.0f}", memory <= MEMORY))
    return found


def _pair(measured: dict[str, Table], goal: Goal) -> tuple[Row, Row] | None:
    if goal.path not in measured:
        return None
    rows = measured[goal.path].rows
    theirs = next((row for row in rows if row.contender == goal.beside), None)
    return None if theirs is None else (rows[0], theirs)
