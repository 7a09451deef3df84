"""Events: what webhooks told or should have told is asked for once more, and what is new takes the webhooks' own way."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import select

from coop.billing import stripe_events
from coop.billing.gateway import Gateway, Notice
from coop.billing.reconciliation import streams
from coop.billing.reconciliation.tally import Tally
from coop.billing.seen import StripeEvent
from coop.database import insert_once
from coop.unit_of_work import Units

OVERLAP = timedelta(hours=6)


async def replay(units: Units, gateway: Gateway, tally: Tally, *, start: datetime) -> None:
    """Apply the events that no webhook brought."""
    fetch = partial(gateway.lists.events, types=stripe_events.WANTED)
    async for notices in streams.pages(units, "events", fetch, start=start, overlap=OVERLAP):
        tally.looked += len(notices)
        for group in await _missed(units, notices):
            with tally.outlived("event", group[0].id):
                if await _take(units, gateway, group):
                    tally.heal(group[0].type, group[0].object_id)


async def _missed(units: Units, notices: Sequence[Notice]) -> list[list[Notice]]:
    """Return the events that we have not had, those about one object together, since it is fetched but once."""
    async with units.read() as work:
        ids = select(StripeEvent.id).where(StripeEvent.id.in_([notice.id for notice in notices]))
        known = set(await work.session.scalars(ids))
    groups: dict[tuple[str, str], list[Notice]] = {}
    for notice in notices:
        if notice.id not in known and notice.account is None:
            family = notice.type.rpartition(".")[0]
            groups.setdefault((family, notice.object_id), []).append(notice)
    # The oldest first: a checkout before the renewal, a charge before its refund.
    return list(reversed(groups.values()))


async def _take(units: Units, gateway: Gateway, notices: Sequence[Notice]) -> bool:
    facts = await stripe_events.look_up(units, gateway, notices[0])
    async with units.open() as work:
        fresh = False
        for notice in notices:
            fresh = (
                await insert_once(
                    work.session,
                    StripeEvent,
                    id=notice.id,
                    type=notice.type,
                    object_id=notice.object_id,
                    received_at=work.wall,
                )
                or fresh
            )
        if not fresh:
            return False
        await stripe_events.apply(work, facts)
    return True
