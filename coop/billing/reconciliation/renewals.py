"""Renewals at Stripe beside ours: states are taken over, what a member did not agree to is named.

Stripe cannot list what changed, so all subscriptions are read once a day; in between, events tell of changes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from coop.billing import subscriptions
from coop.billing.gateway import Gateway, NotVisible
from coop.billing.importing.held import ImportedMembership
from coop.billing.intents import Checkout
from coop.billing.lists import Renewing
from coop.billing.reconciliation import differences, streams
from coop.billing.reconciliation.differences import Difference, Found
from coop.billing.reconciliation.tally import Tally
from coop.billing.subscriptions import Subscription
from coop.unit_of_work import Units

EVERY = timedelta(hours=24)
STRIPE_BEGAN = datetime(2010, 1, 1, tzinfo=UTC)
BATCH = 100
KINDS = (
    "card_missing",
    "foreign_subscription",
    "subscription_missing",
    "subscription_paused",
    "subscription_price",
)


async def compare(units: Units, gateway: Gateway, tally: Tally, *, thorough: bool) -> None:
    """Hold every subscription at Stripe against ours, if that was not done within a day."""
    before = await streams.last_pass(units, "subscriptions")
    async with units.read() as work:
        now = work.now
    if before is not None and now - before < EVERY and not thorough:
        return
    async for page in streams.pages(
        units, "subscriptions", gateway.lists.subscriptions, start=STRIPE_BEGAN, overlap=None
    ):
        tally.looked += len(page)
        await _hold(units, tally, page)


async def recheck(units: Units, gateway: Gateway, tally: Tally) -> None:
    """Look again at the renewals with an open difference."""
    after: UUID | None = None
    while True:
        async with units.read() as work:
            statement = select(Difference).where(Difference.state == "open", Difference.kind.in_(KINDS))
            if after is not None:
                statement = statement.where(Difference.id > after)
            rows = (await work.session.scalars(statement.order_by(Difference.id).limit(BATCH))).all()
        if not rows:
            return
        after = rows[-1].id
        for row in rows:
            with tally.outlived(row.kind, row.object_id):
                await _again(units, gateway, tally, row)


async def missing(units: Units, tally: Tally, subscription: str) -> None:
    """Name a renewal of ours that Stripe does not have."""
    async with units.open() as work:
        found = Found(kind="subscription_missing", object_id=subscription, since=work.now)
        tally.opened += await differences.note(work, found)


async def _again(units: Units, gateway: Gateway, tally: Tally, row: Difference) -> None:
    try:
        renewing = await gateway.lists.subscription(row.object_id)
    except NotVisible:
        if row.kind == "subscription_missing":
            return
        kinds = set[str]()
    else:
        kinds = await _hold(units, tally, [renewing])
    if row.kind not in kinds:
        async with units.open() as work:
            tally.closed += await differences.gone(work, row.id)


async def _hold(units: Units, tally: Tally, page: Sequence[Renewing]) -> set[str]:
    """Take states over, and note what differs; return the kinds that were found."""
    async with units.read() as work:
        rows = await work.session.scalars(
            select(Subscription).where(Subscription.id.in_([one.state.id for one in page]))
        )
        ours = {row.id: row for row in rows}
        operations = {one.state.operation for one in page if one.state.operation is not None}
        begun = set(await work.session.scalars(select(Checkout.id).where(Checkout.id.in_(operations))))
        taken = set(
            await work.session.scalars(
                select(ImportedMembership.subscription).where(
                    ImportedMembership.subscription.in_([one.state.id for one in page]),
                    ImportedMembership.state == "waiting",
                )
            )
        )
    news, kinds = [], set[str]()
    for one in page:
        row = ours.get(one.state.id)
        if row is None:
            if one.state.id in taken:
                continue
            # The page that began it may still be on its way here.
            if one.state.status not in subscriptions.ENDED and one.state.operation not in begun:
                news.append(_found("foreign_subscription", one))
            continue
        if (row.status, row.stops) != (one.state.status, one.state.stops):
            async with units.open() as work:
                if await subscriptions.apply(work, one.state):
                    tally.heal("subscription", one.state.id)
        if one.state.status not in subscriptions.ENDED and not one.state.stops and row.wish == "renew":
            news += _judged(one, row)
    if news:
        async with units.open() as work:
            for found in news:
                kinds.add(found.kind)
                tally.opened += await differences.note(work, found)
    return kinds


def _judged(one: Renewing, row: Subscription) -> list[Found]:
    found = []
    if one.amount != row.amount or one.interval != "year":
        found.append(_found("subscription_price", one, row))
    if one.paused:
        found.append(_found("subscription_paused", one, row))
    if not one.has_card:
        found.append(_found("card_missing", one, row))
    return found


def _found(kind: str, one: Renewing, row: Subscription | None = None) -> Found:
    facts = {"status": one.state.status, "every": one.interval, "renews": one.period_ends.date().isoformat()}
    if one.state.stops:
        facts["stops"] = "yes"
    return Found(
        kind=kind,
        object_id=one.state.id,
        since=one.created,
        at_stripe=one.amount,
        in_books=None if row is None else row.amount,
        currency=one.currency,
        facts=facts,
    )
