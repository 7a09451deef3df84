"""Sending: deliveries leave by the Standard Webhooks specification, and no network waits for another.

Each endpoint that has something due gets a turn in a lane. An endpoint that left the last attempt unanswered, or took its time,
is slow: slow ones share a few lanes of their own, one attempt a turn, so that any number of tar-pits delays only each
other. Those that nobody has met yet hold up a newcomer for no longer than `lanes.PATIENCE`.
"""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from uuid import UUID

import anyio
import structlog
from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import aliased
from standardwebhooks.webhooks import Webhook

from coop.errors import CoopError
from coop.fetching import TOTAL_SECONDS, Fetcher
from coop.networks import lanes
from coop.networks.deliveries import BACK_OFF, REMEMBERED, Attempt, Delivery, own_delay
from coop.networks.endpoints import Endpoint, signing_secrets
from coop.unit_of_work import UnitOfWork, Units

QUICK_LANES = 64
SLOW_LANES = 16
BATCH = 10
LEASE = timedelta(seconds=BATCH * TOTAL_SECONDS + 80)
"""Longer than a batch can take."""

log = structlog.get_logger("coop.webhooks")


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed delivery with what its sending needs."""

    seq: int
    id: str
    lease: UUID
    attempts: int
    url: str
    body: bytes
    secrets: tuple[str, ...]
    history: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    status: int | None
    failure: str | None
    slow: bool

    @property
    def arrived(self) -> bool:
        """Whether the network took it: any status from 200 to 299, nothing else, no redirect."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


async def deliver_quick(units: Units, fetcher: Fetcher) -> int:
    """Send what is due to endpoints that answer at once, a batch a turn."""
    return await lanes.serve(
        partial(_waiting, units, slow=False),
        partial(_serve, units, fetcher, most=BATCH),
        most=QUICK_LANES,
    )


async def deliver_slow(units: Units, fetcher: Fetcher) -> int:
    """Send what is due to endpoints that are slow, one attempt a turn; they wait for each other."""
    return await lanes.serve(
        partial(_waiting, units, slow=True),
        partial(_serve, units, fetcher, most=1),
        most=SLOW_LANES,
        patience=math.inf,
    )


async def _waiting(units: Units, busy: set[UUID], most: int, *, slow: bool) -> Sequence[UUID]:
    """Return endpoints with something due, but those that are being served; who has waited longest comes first."""
    async with units.read() as work:
        found = await work.session.scalars(
            select(Endpoint.id)
            .where(
                Endpoint.slow.is_(slow),
                Endpoint.gone_at.is_(None),
                Endpoint.id.not_in(busy),
                exists().where(Delivery.endpoint_id == Endpoint.id, _due(work.wall)),
            )
            .order_by(Endpoint.tried_at.nulls_first())
            .limit(most)
        )
        return found.all()


async def _serve(units: Units, fetcher: Fetcher, endpoint_id: UUID, *, most: int) -> int:
    """Give one endpoint its turn: a few deliveries one after the other, until it is slow with one."""
    arrived = 0
    parcels = await _claim(units, endpoint_id, most=most)
    while parcels:
        parcel = parcels.pop(0)
        outcome = await _send(units, fetcher, parcel)
        async with units.open() as work:
            await _record(work, endpoint_id, parcel, outcome)
            if outcome.slow:
                # The others would fare no better, and would hold the lane.
                await _put_back(work, parcels)
        arrived += outcome.arrived
        if outcome.slow:
            break
    return arrived


async def _claim(units: Units, endpoint_id: UUID, *, most: int) -> list[Parcel]:
    async with units.open() as work:
        endpoint = await work.session.get(Endpoint, endpoint_id)
        if endpoint is None or endpoint.gone_at is not None:
            return []
        token = UUID(bytes=secrets.token_bytes(16))
        # By the moment that each fact drew for this network, not by the order in which they were written, which all networks
        # share; urgent ones first.
        candidates = (
            select(Delivery.seq)
            .where(Delivery.endpoint_id == endpoint_id, _due(work.wall))
            .order_by(Delivery.rank.desc(), Delivery.due_at, Delivery.seq)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        rows = await work.session.scalars(
            update(Delivery)
            .where(Delivery.seq.in_(candidates.scalar_subquery()))
            .values(lease=token, leased_until=work.wall + LEASE, attempts=Delivery.attempts + 1)
            .returning(Delivery)
        )
        endpoint.tried_at = work.wall
        signing = signing_secrets(work, endpoint)
        return [
            Parcel(
                seq=row.seq,
                id=row.id,
                lease=token,
                attempts=row.attempts,
                url=endpoint.url,
                body=row.payload,
                secrets=signing,
                history=row.history,
            )
            for row in sorted(rows, key=lambda row: (-row.rank, row.due_at or work.wall, row.seq))
        ]


async def _send(units: Units, fetcher: Fetcher, parcel: Parcel) -> Outcome:
    text, now = parcel.body.decode(), units.clock.wall()
    signatures = (Webhook(secret).sign(parcel.id, now, text) for secret in parcel.secrets)
    headers = {
        "Content-Type": "application/json",
        "Webhook-Id": parcel.id,
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": " ".join(signatures),
    }
    began = anyio.current_time()
    try:
        answer = await fetcher.send("POST", parcel.url, body=parcel.body, headers=headers)
    except CoopError as refusal:
        return Outcome(None, refusal.code, slow=True)
    return Outcome(answer.status, None, slow=anyio.current_time() - began > lanes.PATIENCE)


async def _record(work: UnitOfWork, endpoint_id: UUID, parcel: Parcel, outcome: Outcome) -> None:
    """Write down how an attempt went, if the claim is still ours."""
    due_at = None
    if not outcome.arrived and parcel.attempts <= len(BACK_OFF):
        due_at = work.wall + BACK_OFF[parcel.attempts - 1] + own_delay(demo=work.settings.demo)
    attempt = Attempt(at=work.wall.isoformat(), status=outcome.status, failure=outcome.failure)
    await work.session.execute(
        update(Delivery)
        .where(Delivery.seq == parcel.seq, Delivery.lease == parcel.lease)
        .values(
            due_at=due_at,
            delivered_at=work.wall if outcome.arrived else None,
            lease=None,
            leased_until=None,
            last_status=outcome.status,
            last_failure=outcome.failure,
            history=[*parcel.history, attempt][-REMEMBERED:],
        )
    )
    failing_since = None if outcome.arrived else func.coalesce(Endpoint.failing_since, work.wall)
    state: dict[str, object] = {"slow": outcome.slow, "failing_since": failing_since}
    if outcome.status == HTTPStatus.GONE:
        state["gone_at"] = work.wall
    await work.session.execute(update(Endpoint).where(Endpoint.id == endpoint_id).values(state))
    if not outcome.arrived:
        log.info("delivery_failed", delivery=parcel.id, attempt=parcel.attempts, status=outcome.status)


async def _put_back(work: UnitOfWork, parcels: Sequence[Parcel]) -> None:
    """Let go of what was claimed and not tried."""
    for parcel in parcels:
        await work.session.execute(
            update(Delivery)
            .where(Delivery.seq == parcel.seq, Delivery.lease == parcel.lease)
            .values(lease=None, leased_until=None, attempts=Delivery.attempts - 1)
        )


def _due(wall: datetime) -> ColumnElement[bool]:
    """Return the condition for a delivery that may be sent now: its time has come, it is free, it is the next in order."""
    earlier = aliased(Delivery)
    overtakes = exists().where(
        earlier.endpoint_id == Delivery.endpoint_id,
        earlier.account_id == Delivery.account_id,
        earlier.due_at.is_not(None),
        earlier.rank >= Delivery.rank,
        earlier.seq < Delivery.seq,
    )
    free = or_(Delivery.leased_until.is_(None), Delivery.leased_until < wall)
    return and_(Delivery.due_at <= wall, free, ~overtakes)
