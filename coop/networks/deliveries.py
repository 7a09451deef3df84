"""Deliveries: each fact for each network, on its way until it arrives or three days have passed.

Order holds for each member of each network: a fact about somebody waits for the earlier ones about them. Two things leave the
order: a lock of an account overtakes all else, and what is replayed holds up nothing newer. How they are sent stands in
`coop.networks.sending`.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Literal, TypedDict
from uuid import UUID

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    CursorResult,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    case,
    delete,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import NotFound, Refused
from coop.networks import endpoints, payloads
from coop.networks.endpoints import Endpoint
from coop.networks.payloads import Fact
from coop.unit_of_work import UnitOfWork, Units

BACK_OFF = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
)
"""The waits between attempts, as Standard Webhooks advises: three days in all."""
HORIZON = sum(BACK_OFF, timedelta())
LONGEST_DELAY = 3.0
"""Seconds; each network is told after a random wait of its own, so that two cannot match facts by their moment."""
KEPT = timedelta(days=30)
REMEMBERED = 10
"""Attempts of one delivery that can be read afterwards."""


class NoSuchDelivery(NotFound):
    """There is no such delivery."""

    code = "no_such_delivery"


class TestUnderWay(Refused):
    """A test is on its way already; wait for its outcome before you send another."""

    code = "test_under_way"


class Rank(IntEnum):
    """What waits for what: a fact about a member waits for earlier ones about them of its own rank or a higher one."""

    REPLAYED = 0
    ORDINARY = 1
    URGENT = 2


State = Literal["arrived", "waiting", "retrying", "given up"]


class Attempt(TypedDict):
    """One attempt as it is remembered: when, and the status of the answer or the code of what went wrong."""

    at: str
    status: int | None
    failure: str | None


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
    rank: Mapped[int] = mapped_column(SmallInteger, default=Rank.ORDINARY)
    attempts: Mapped[int] = mapped_column(default=0)
    delivered_at: Mapped[datetime | None] = mapped_column(default=None)
    lease: Mapped[UUID | None] = mapped_column(default=None)
    leased_until: Mapped[datetime | None] = mapped_column(default=None)
    last_status: Mapped[int | None] = mapped_column(default=None)
    last_failure: Mapped[str | None] = mapped_column(String(60), default=None)
    history: Mapped[list[Attempt]] = mapped_column(JSON, default_factory=list)
    """The latest attempts, the oldest first."""

    @property
    def state(self) -> State:
        """Where it is: it arrived, it waits for its first or its next attempt, or it was given up."""
        if self.delivered_at is not None:
            return "arrived"
        if self.due_at is None:
            return "given up"
        return "waiting" if self.attempts == 0 else "retrying"


def told_at(work: UnitOfWork) -> datetime:
    """Return the moment at which one network is told of what happens now."""
    return work.wall + own_delay(demo=work.settings.demo)


def own_delay(*, demo: bool) -> timedelta:
    """Return a random wait, so that no two networks hear or are tried again at one moment; a demo does not wait."""
    return timedelta(milliseconds=0 if demo else secrets.randbelow(int(LONGEST_DELAY * 1000)))


def write(
    work: UnitOfWork,
    endpoint_id: UUID,
    fact: Fact,
    *,
    account_id: UUID | None,
    due_at: datetime,
    rank: Rank = Rank.ORDINARY,
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
        rank=rank,
    )
    work.session.add(delivery)
    return delivery


async def test(work: UnitOfWork, network_id: UUID) -> Delivery:
    """Send a test to a network, signed like any fact; one at a time, so that nobody floods a stranger's address."""
    endpoint = await endpoints.of(work, network_id)
    if endpoint.gone_at is not None:
        raise endpoints.EndpointGone
    under_way = exists().where(
        Delivery.endpoint_id == endpoint.id,
        Delivery.type == payloads.TEST,
        Delivery.due_at.is_not(None),
    )
    if await work.session.scalar(select(under_way)):
        raise TestUnderWay
    told = payloads.Test(timestamp=work.wall.replace(microsecond=0), data=payloads.Nothing())
    return write(work, endpoint.id, told, account_id=None, due_at=work.wall)


async def recent(
    work: UnitOfWork, network_id: UUID, *, most: int = 50, failed: bool = False
) -> Sequence[Delivery]:
    """Return the latest deliveries to a network, the newest first; with `failed`, those that have not arrived."""
    latest = (
        select(Delivery)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(Endpoint.network_id == network_id)
        .order_by(Delivery.seq.desc())
        .limit(most)
    )
    if failed:
        latest = latest.where(Delivery.delivered_at.is_(None))
    return (await work.session.scalars(latest)).all()


async def replay(work: UnitOfWork, network_id: UUID, delivery_id: str) -> None:
    """Send one delivery to a network again, from the first attempt on, under the same identifier."""
    if not await _replay(work, network_id, Delivery.id == delivery_id):
        raise NoSuchDelivery


async def replay_failed(work: UnitOfWork, network_id: UUID, *, since: datetime | None = None) -> int:
    """Send all that has not arrived again, or of it what was written `since`; return how many."""
    return await _replay(work, network_id, Delivery.delivered_at.is_(None), *_since(since))


async def replay_since(work: UnitOfWork, network_id: UUID, since: datetime) -> int:
    """Send all that was written `since` again, whether it has arrived or not; return how many."""
    return await _replay(work, network_id, *_since(since))


def _since(since: datetime | None) -> tuple[ColumnElement[bool], ...]:
    return () if since is None else (Delivery.created_at >= since,)


async def _replay(work: UnitOfWork, network_id: UUID, *which: ColumnElement[bool]) -> int:
    own = select(Endpoint.id).where(Endpoint.network_id == network_id).scalar_subquery()
    # What still waits for its first arrival keeps its rank: newer facts about that member go on waiting for it.
    rank = case((Delivery.due_at.is_(None), int(Rank.REPLAYED)), else_=Delivery.rank)
    again = await work.session.execute(
        update(Delivery)
        .where(Delivery.endpoint_id.in_(own), *which)
        .values(due_at=work.wall, attempts=0, rank=rank, delivered_at=None, lease=None, leased_until=None)
    )
    return again.rowcount if isinstance(again, CursorResult) else 0


async def forget_old(units: Units) -> None:
    """Drop what arrived or was given up a month ago; give up what waits behind an endpoint that fails for days."""
    async with units.open() as work:
        long_ago = work.wall - HORIZON
        lost = select(Endpoint.id).where(or_(Endpoint.failing_since < long_ago, Endpoint.gone_at < long_ago))
        await work.session.execute(
            update(Delivery)
            .where(Delivery.due_at < long_ago, Delivery.endpoint_id.in_(lost.scalar_subquery()))
            .values(due_at=None)
        )
        await work.session.execute(
            delete(Delivery).where(Delivery.due_at.is_(None), Delivery.created_at < work.wall - KEPT)
        )
