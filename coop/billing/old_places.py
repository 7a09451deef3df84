"""Old places: requests that have ended are forgotten, with the payment pages and transfers letting go of them.

What was kept for one stays in the books under the place's number alone. A place that was given stays with its year, whose
funding it explains.
"""

from datetime import timedelta

from sqlalchemy import delete, exists, select, update

from coop.billing.intents import Checkout
from coop.billing.offline.transfers import Transfer
from coop.sponsorship.places import Place
from coop.unit_of_work import Units

KEPT = timedelta(days=35)
"""So long its owner can read how a request ended, and the places of a month are counted."""
BATCH = 500


ADDRESS_KEPT = timedelta(days=366)
"""So long an address that has asked for a first place serves no other account."""


async def forget_due(units: Units) -> int:
    """Forget requests that ended a while ago, and what addresses of long ago asked for (a job)."""
    async with units.open() as work:
        await work.session.execute(
            update(Place)
            .where(
                Place.address.is_not(None),
                Place.state == "begun",
                Place.asked_at < work.now - ADDRESS_KEPT,
            )
            .values(address=None)
            .execution_options(synchronize_session=False)
        )
    done = 0
    while True:
        async with units.open() as work:
            old = list(
                await work.session.scalars(
                    select(Place.id)
                    .where(
                        Place.state == "closed",
                        Place.ended_at < work.now - KEPT,
                        # Whoever still pays on one finds out by it that it has ended.
                        ~exists().where(
                            Checkout.place_id == Place.id, Checkout.state.in_(("intended", "open"))
                        ),
                        ~exists().where(Transfer.place_id == Place.id, Transfer.state == "open"),
                    )
                    .limit(BATCH)
                )
            )
            for relying in (Checkout, Transfer):
                await work.session.execute(
                    update(relying)
                    .where(relying.place_id.in_(old))
                    .values(place_id=None)
                    .execution_options(synchronize_session=False)
                )
            await work.session.execute(
                delete(Place).where(Place.id.in_(old)).execution_options(synchronize_session=False)
            )
        done += len(old)
        if len(old) < BATCH:
            return done
