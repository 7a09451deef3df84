"""The agenda: what time will do, worked off in order, each task at its own instant."""

from collections.abc import Callable, Mapping

import structlog

from api.sandbox.desk import Desk
from api.sandbox.objects import balance, billing, charges, checkout, debits, subscriptions
from api.sandbox.problems import StripeProblem

log = structlog.get_logger()
Task = Callable[[Desk, str], object]
TASKS: Mapping[str, Task] = {
    "charge.book": charges.book,
    "charge.clear": debits.clear,
    "charge.dispute": charges.dispute,
    "checkout.expire": checkout.expire_when_due,
    "invoice.finalize": billing.finalize,
    "invoice.retry": billing.retry,
    "payout.arrive": balance.arrive,
    "subscription.end": subscriptions.end_when_due,
    "subscription.expire": billing.expire,
    "subscription.remind": billing.remind,
    "subscription.renew": billing.renew,
    "subscription.trial_will_end": subscriptions.trial_will_end,
}


def due(desk: Desk, until: float, clock: str = "") -> tuple[int, float, str, str] | None:
    """Return the first task that is due at `until`, if there is one: its number, instant, name and object."""
    rows = desk.store.rows(
        "SELECT seq, due, task, ref FROM agenda WHERE clock = ? AND due <= ? ORDER BY due, seq LIMIT 1",
        clock,
        until,
    )
    return tuple(rows[0]) if rows else None


def work_off(desk: Desk, until: float, *, clock: str = "", most: int | None = None) -> int:
    """Do what is due up to `until`, earliest first, and return how much was done.

    A task may put later ones on the agenda that are due as well: a year that passes in one step holds
    all its months.
    """
    done, before = 0, (desk.instant, desk.clock)
    while (most is None or done < most) and (task := due(desk, until, clock)):
        number, instant, name, ref = task
        desk.instant, desk.clock = instant, clock
        desk.store.run("DELETE FROM agenda WHERE seq = ?", number)
        _perform(desk, name, ref)
        done += 1
    desk.instant, desk.clock = before
    return done


def _perform(desk: Desk, name: str, ref: str) -> None:
    """Do one task; one that has become impossible is dropped whole, so that it holds up nothing else."""
    desk.store.run("SAVEPOINT task")
    try:
        TASKS[name](desk, ref)
    except StripeProblem as problem:
        desk.store.run("ROLLBACK TO task")
        log.warning("sandbox_task_dropped", task=name, reason=str(problem))
    desk.store.run("RELEASE task")
