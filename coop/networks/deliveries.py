"""Deliveries: each fact for each network, sent by the Standard Webhooks specification until it arrives or three days pass.

Order holds for each member of each network: a fact about somebody waits for the earlier ones about them. Networks do not
wait for each other: each has a lane of its own, so that one that answers slowly, or never, delays nobody else.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    and_,
    delete,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, aliased, mapped_column
from standardwebhooks.webhooks import Webhook

from coop.database import Base
from coop.errors import CoopError, NotFound
from coop.fetching import Fetcher
from coop.networks import lanes
from coop.networks.endpoints import Endpoint, signing_secrets
from coop.networks.payloads import Fact
from coop.unit_of_work import UnitOfWork, Units

BACK_OFF = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
)
"""The waits between attempts, as Standard Webhooks advises: three days in all."""
LONGEST_DELAY = 3.0
"""Seconds; each network is told after a random wait of its own, so that two cannot match facts by their moment."""
BATCH = 10
LEASE = timedelta(minutes=3)
"""Longer than a batch can take, each delivery having `fetching.TOTAL_SECONDS`."""
KEPT = timedelta(days=30)

log = structlog.get_logger("coop.webhooks")


class NoSuchDelivery(NotFound):
    """There is no such delivery."""

    code = "no_such_delivery"


class Delivery(Base):
    """One fact on its way to one network; its `id` is what the network sees, and stays the same at each attempt."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("ix_deliveries_endpoint_id_account_id", "endpoint_id", "account_id"),)

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True, init=False
    )
    id: Mapped[str] = mapped_column(String(40), unique=True)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    account_id: Mapped[UUID | None]
    """Whom the fact is about, for the order; never sent."""
    type: Mapped[str] = mapped_column(String(40))
    payload: Mapped[bytes] = mapped_column(LargeBinary, repr=False)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    """When it is tried next; empty once it has arrived or was given up."""
    attempts: Mapped[int] = mapped_column(default=0)
    delivered_at: Mapped[datetime | None] = mapped_column(default=None)
    lease: Mapped[UUID | None] = mapped_column(default=None)
    leased_until: Mapped[datetime | None] = mapped_column(default=None)
    last_status: Mapped[int | None] = mapped_column(default=None)
    last_failure: Mapped[str | None] = mapped_column(String(60), default=None)


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
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    status: int | None
    failure: str | None

    @property
    def arrived(self) -> bool:
        """Whether the network took it: any status from 200 to 299, nothing else, no redirect."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def told_at(work: UnitOfWork) -> datetime:
    """Return the moment at which one network is told of what happens now."""
    delay = 0.0 if work.settings.demo else secrets.randbelow(int(LONGEST_DELAY * 1000)) / 1000
    return work.wall + timedelta(seconds=delay)


def write(
    work: UnitOfWork, endpoint_id: UUID, fact: Fact, *, account_id: UUID | None, due_at: datetime
) -> Delivery:
    """Put `fact` on its way to one endpoint, under an identifier that no other network sees."""
    delivery = Delivery(
        id=f"msg_{secrets.token_hex(16)}",
        endpoint_id=endpoint_id,
        account_id=account_id,
        type=str(fact.__struct_config__.tag),
        payload=msgspec.json.encode(fact),
        created_at=work.wall,
        due_at=due_at,
    )
    work.session.add(delivery)
    return delivery


async def recent(work: UnitOfWork, network_id: UUID, *, most: int = 50) -> Sequence[Delivery]:
    """Return the latest deliveries to a network, the newest first."""
    rows = await work.session.scalars(
        select(Delivery)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(Endpoint.network_id == network_id)
        .order_by(Delivery.seq.desc())
        .limit(most)
    )
    return rows.all()


async def replay(work: UnitOfWork, network_id: UUID, delivery_id: str) -> None:
    """Send one delivery to a network again, from the first attempt on, under the same identifier."""
    own = select(Endpoint.id).where(Endpoint.network_id == network_id).scalar_subquery()
    replayed = await work.session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.endpoint_id.in_(own))
        .values(due_at=work.wall, attempts=0, delivered_at=None, lease=None, leased_until=None)
        .returning(Delivery.seq)
    )
    if replayed.first() is None:
        raise NoSuchDelivery


async def deliver_due(units: Units, fetcher: Fetcher) -> int:
    """Send all that is due and return how much arrived; what becomes due meanwhile goes along."""
    return await lanes.serve(partial(_waiting, units), partial(_empty, units, fetcher))


async def forget_old(units: Units) -> None:
    """Drop what arrived or was given up a month ago."""
    async with units.open() as work:
        await work.session.execute(
            delete(Delivery).where(Delivery.due_at.is_(None), Delivery.created_at < work.wall - KEPT)
        )


async def _waiting(units: Units, busy: set[UUID], most: int) -> Sequence[UUID]:
    """Return endpoints with something due, but those that are being served."""
    async with units.read() as work:
        found = await work.session.scalars(
            select(Delivery.endpoint_id)
            .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
            .where(_due(work.wall), Endpoint.gone_at.is_(None), Delivery.endpoint_id.not_in(busy))
            .distinct()
            .limit(most)
        )
        return found.all()


async def _empty(units: Units, fetcher: Fetcher, endpoint_id: UUID) -> int:
    """Send all that is due to one endpoint, one after the other."""
    arrived = 0
    while parcels := await _claim(units, endpoint_id):
        for parcel in parcels:
            outcome = await _send(fetcher, parcel)
            async with units.open() as work:
                await _record(work, endpoint_id, parcel, outcome)
            arrived += outcome.arrived
    return arrived


async def _claim(units: Units, endpoint_id: UUID) -> list[Parcel]:
    async with units.open() as work:
        endpoint = await work.session.get(Endpoint, endpoint_id)
        if endpoint is None or endpoint.gone_at is not None:
            return []
        token = UUID(bytes=secrets.token_bytes(16))
        candidates = (
            select(Delivery.seq)
            .where(Delivery.endpoint_id == endpoint_id, _due(work.wall))
            .order_by(Delivery.seq)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        rows = await work.session.scalars(
            update(Delivery)
            .where(Delivery.seq.in_(candidates.scalar_subquery()))
            .values(lease=token, leased_until=work.wall + LEASE, attempts=Delivery.attempts + 1)
            .returning(Delivery)
        )
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
                claimed_at=work.wall,
            )
            for row in sorted(rows, key=lambda row: row.seq)
        ]


async def _send(fetcher: Fetcher, parcel: Parcel) -> Outcome:
    text = parcel.body.decode()
    signatures = (Webhook(secret).sign(parcel.id, parcel.claimed_at, text) for secret in parcel.secrets)
    headers = {
        "Content-Type": "application/json",
        "Webhook-Id": parcel.id,
        "Webhook-Timestamp": str(int(parcel.claimed_at.timestamp())),
        "Webhook-Signature": " ".join(signatures),
    }
    try:
        answer = await fetcher.send("POST", parcel.url, body=parcel.body, headers=headers)
    except CoopError as refusal:
        return Outcome(None, refusal.code)
    return Outcome(answer.status, None)


async def _record(work: UnitOfWork, endpoint_id: UUID, parcel: Parcel, outcome: Outcome) -> None:
    """Write down how an attempt went, if the claim is still ours."""
    due_at = None
    if not outcome.arrived and parcel.attempts <= len(BACK_OFF):
        due_at = work.wall + BACK_OFF[parcel.attempts - 1]
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
        )
    )
    if outcome.status == HTTPStatus.GONE:
        await work.session.execute(
            update(Endpoint).where(Endpoint.id == endpoint_id).values(gone_at=work.wall)
        )
    if not outcome.arrived:
        log.info("delivery_failed", delivery=parcel.id, attempt=parcel.attempts, status=outcome.status)


def _due(wall: datetime) -> ColumnElement[bool]:
    """Return the condition for a delivery that may be sent now: its time has come, it is free, it is the next in order."""
    earlier = aliased(Delivery)
    overtakes = exists().where(
        earlier.endpoint_id == Delivery.endpoint_id,
        earlier.account_id == Delivery.account_id,
        earlier.due_at.is_not(None),
        earlier.seq < Delivery.seq,
    )
    free = or_(Delivery.leased_until.is_(None), Delivery.leased_until < wall)
    return and_(Delivery.due_at <= wall, free, ~overtakes)
