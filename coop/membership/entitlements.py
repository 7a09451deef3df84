"""Entitlements: all that a network may know of a membership, the same whoever paid for it."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from coop.clock import local_date
from coop.membership import standing
from coop.membership.months import last_of_month
from coop.unit_of_work import UnitOfWork

GROUP = "coop-members"
ENTITLEMENTS = ("ad-free",)


class Entitlement(msgspec.Struct, frozen=True, kw_only=True):
    """Member or not (grace is active), until which month, and what that opens."""

    membership: Literal["active", "none"]
    until: date | None = None
    """The last day of the month in which membership ends if nothing is renewed; never the day itself."""
    entitlements: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


NONE = Entitlement(membership="none")


async def of(work: UnitOfWork, account_id: UUID) -> Entitlement:
    """Return what one account is entitled to."""
    return (await of_many(work, [account_id]))[account_id]


async def of_many(work: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Entitlement]:
    """Return what each account is entitled to; one query, however many."""
    found = await standing.of_many(work, ids)
    return {account_id: following_from(found[account_id], work.settings.zone) for account_id in ids}


def following_from(known: standing.Standing, zone: ZoneInfo) -> Entitlement:
    """Return what follows from a standing, in the co-op's time zone."""
    if known.state == "none":
        return NONE
    # In grace the year's end lies behind; a date in the past would tell that nobody has renewed.
    end = known.ends if known.state == "active" else known.grace_until
    # The end is the first instant outside, so the last day inside is the one before.
    until = last_of_month(local_date(end, zone) - timedelta(days=1)) if end else None
    return Entitlement(membership="active", until=until, entitlements=ENTITLEMENTS, groups=(GROUP,))
