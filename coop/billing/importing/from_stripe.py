"""Subscriptions that a Stripe account has already: each goes on as it is, and its next charge stays on its day."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from coop.billing.gateway import Gateway
from coop.billing.importing import files
from coop.billing.importing.files import Fault, Place, Row
from coop.billing.lists import Renewing, Window
from coop.clock import local_date

SOURCE = "stripe"
STRIPE_BEGAN = datetime(2010, 1, 1, tzinfo=UTC)
RUNNING = frozenset({"active", "trialing", "past_due"})


async def read(gateway: Gateway, place: Place, now: datetime) -> AsyncIterator[Row]:
    """Give every subscription of the account; nothing is changed at Stripe."""
    window, after, number = Window(since=STRIPE_BEGAN, until=now), None, 0
    while True:
        page = await gateway.lists.subscriptions(window, after)
        for one in page.items:
            number += 1
            yield _row(number, one, place)
        if page.after is None:
            return
        after = page.after


def _row(number: int, one: Renewing, place: Place) -> Row:
    name = one.state.id
    email, fault = files.address(one.email or "")
    wrong = _fault(one, place)
    if wrong is not None or fault is not None:
        return Row(line=number, external_id=name, fault=wrong or fault)
    # While an invoice is unpaid, the period that it is for has begun; what was paid for ended with the one before.
    ends = one.period_begins if one.state.status == "past_due" else one.period_ends
    began = local_date(one.created, place.zone)
    return Row(
        line=number,
        external_id=name,
        email=email,
        paid_until=local_date(ends, place.zone),
        since=began,
        subscription=name,
        amount=one.amount,
        stops=one.state.stops,
    )


def _fault(one: Renewing, place: Place) -> Fault | None:
    if one.state.status not in RUNNING:
        return "ended"
    if one.interval != "year":
        return "not_yearly"
    if one.amount is None:
        return "odd_price"
    if one.currency != place.money.code:
        return "other_currency"
    return None
