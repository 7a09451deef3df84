"""The renewal run: all that is due of years that end, in the order in which one thing leads to another.

The worker's jobs do the same all day long; the command does it now, and shows how far it is. Each stage goes batch by batch and
finds what is left by itself, so a run that was killed is begun again with nothing to be said.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from coop.billing import gaps, subscriptions
from coop.membership import renewal
from coop.progress import Stage
from coop.sponsorship import gifts, runs
from coop.unit_of_work import UnitOfWork, Units


def stages(units: Units) -> tuple[Stage, ...]:
    """Return the parts of a run over one cooperative."""

    def counted(count: Callable[[UnitOfWork], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
        async def due() -> int:
            async with units.read() as work:
                return await count(work)

        return due

    return (
        # Before the notices, which those whose next year is a gift need not get.
        Stage("gifts begun", counted(gifts.kept_due), partial(gifts.begin_kept, units)),
        Stage(
            "ends announced",
            counted(renewal.count_unannounced),
            lambda tell: renewal.remind_due(units, subscriptions.planned, tell),
        ),
        Stage("gaps kept", counted(gaps.count_due), partial(gaps.keep_due, units)),
        Stage("offers lapsed", counted(runs.count_late), partial(runs.lapse_due, units)),
        Stage("places given", counted(runs.count_covered), partial(runs.give_due, units)),
        Stage("years begun", counted(runs.count_due), partial(runs.begin_due, units)),
        Stage("memberships lapsed", counted(renewal.count_ended), partial(renewal.lapse_due, units)),
    )
