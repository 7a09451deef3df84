"""Reconciliation: once an hour, everything that a lost webhook or a lost answer would have told, and what still differs.

It asks about rows of ours that are not final, reads the events that no webhook brought, holds every movement on Stripe's
balance against the books, compares renewals once a day, and the balance itself at the end. What it finds takes the
webhooks' own way into the books, so that doing it again changes nothing; what that way refuses is named as a difference
with the entry that would settle it. Each list is read page by page, and the place in it is kept.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from sqlalchemy import func, select

from coop.billing import arrears, credit, refunds, subscriptions
from coop.billing.gateway import Gateway
from coop.billing.reconciliation import balance, movements, replay, runs, unfinished
from coop.billing.reconciliation import renewals as compared
from coop.billing.reconciliation.runs import Report
from coop.billing.reconciliation.tally import Tally
from coop.policies.versions import PolicyVersion
from coop.unit_of_work import Units

__all__ = ["Report", "run"]

log = structlog.get_logger("coop.reconciliation")

Step = Callable[[], Awaitable[object]]


async def run(units: Units, gateway: Gateway, *, thorough: bool = False) -> Report:
    """Do every step; one that fails is logged and does not keep the others from their turn.

    `thorough` reads all renewals at Stripe, as is otherwise done once a day.
    """
    tally = Tally()
    async with units.open() as work:
        run_id = await runs.begin(work)
        # Nothing before the books began can be in them.
        start = await work.session.scalar(select(func.min(PolicyVersion.adopted_at))) or work.now
    steps: dict[str, Step] = {
        "checkouts": partial(unfinished.settle_checkouts, units, gateway, tally),
        "events": partial(replay.replay, units, gateway, tally, start=start),
        "payments": partial(unfinished.settle_payments, units, gateway, tally),
        "renewals": partial(unfinished.settle_subscriptions, units, gateway, tally),
        "instalments": partial(arrears.settle_due, units, gateway),
        "refunds": partial(refunds.send_due, units, gateway),
        "disputes": partial(unfinished.check_disputes, units, gateway, tally),
        "stops": partial(subscriptions.carry_out_due, units, gateway),
        "credit": partial(credit.return_due, units, gateway),
        "movements": partial(movements.match, units, gateway, tally, start=start),
        "subscriptions": partial(compared.compare, units, gateway, tally, thorough=thorough),
        "differences": partial(movements.recheck, units, gateway, tally),
        "open renewals": partial(compared.recheck, units, gateway, tally),
        "open payments": partial(unfinished.recheck_payments, units, gateway, tally),
        "balance": partial(balance.compare, units, gateway, tally, start=start),
    }
    for name, step in steps.items():
        with tally.step(name):
            await step()
    async with units.open() as work:
        report = await runs.end(work, run_id, tally)
    log.info(
        "reconciled",
        looked=report.looked,
        healed=report.healed,
        opened=report.opened,
        closed=report.closed,
        open=report.open,
        failed=len(report.failed),
    )
    return report
