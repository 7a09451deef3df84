"""Automatic renewals: the processor's yearly subscriptions, and how they are stopped.

To stop is written down first and carried out at the processor next, so that a processor that is away never makes
anybody ask twice.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.billing.gateway import Gateway, SubscriptionState
from coop.database import Base, changed, insert_once
from coop.money import Money
from coop.unit_of_work import UnitOfWork, Units

ENDED = ("canceled", "incomplete_expired")


class Subscription(Base):
    """One automatic renewal, as far as we need to know it."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        CheckConstraint("wish IN ('renew', 'finish', 'stop', 'stop_now')", name="wish"),
        CheckConstraint("purpose IN ('dues', 'sponsor')", name="purpose"),
    )

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    """The processor's."""
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    amount: Mapped[Money]
    begun_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(30), default="incomplete")
    stops: Mapped[bool] = mapped_column(default=False)
    """The processor knows that it ends with the year that is paid for."""
    wish: Mapped[str] = mapped_column(String(10), default="renew")
    """What the member wants of it; instalments `finish` by themselves once they have paid a year."""
    purpose: Mapped[str] = mapped_column(String(10), default="dues")
    """Dues, or a monthly gift to the pool."""


async def keep(
    work: UnitOfWork,
    subscription: str,
    *,
    account_id: UUID,
    amount: Money,
    wish: str = "renew",
    purpose: str = "dues",
) -> None:
    """Remember a subscription whose first year, month or instalment was paid."""
    await insert_once(
        work.session,
        Subscription,
        id=subscription,
        account_id=account_id,
        amount=amount,
        begun_at=work.now,
        status="active",
        stops=False,
        wish=wish,
        purpose=purpose,
    )


async def apply(work: UnitOfWork, state: SubscriptionState) -> bool:
    """Bring our row to what the processor says; a subscription that has ended never comes back to life."""
    return await changed(
        work.session,
        update(Subscription)
        .where(
            Subscription.id == state.id,
            Subscription.status.not_in(ENDED),
            or_(Subscription.status != state.status, Subscription.stops != state.stops),
        )
        .values(status=state.status, stops=state.stops),
    )


async def renewing(work: UnitOfWork, account_id: UUID, *, purpose: str = "dues") -> Subscription | None:
    """Return the subscription that will renew an account's membership, or its monthly gift, if one will."""
    found: Subscription | None = await work.session.scalar(
        select(Subscription)
        .where(
            Subscription.account_id == account_id,
            Subscription.purpose == purpose,
            Subscription.status.not_in(ENDED),
            Subscription.stops.is_(False),
            Subscription.wish == "renew",
        )
        .order_by(Subscription.begun_at.desc())
        .limit(1)
    )
    return found


async def wish(work: UnitOfWork, account_id: UUID, what: str, *, purpose: str = "dues") -> list[str]:
    """Write down that an account's renewals, or monthly gifts, are to stop (`stop`, or `stop_now`); return which."""
    ids = await work.session.scalars(
        update(Subscription)
        .where(
            Subscription.account_id == account_id,
            Subscription.purpose == purpose,
            Subscription.status.not_in(ENDED),
            Subscription.wish != "stop_now",
            Subscription.wish != what,
        )
        .values(wish=what)
        .returning(Subscription.id)
    )
    return list(ids)


async def end(work: UnitOfWork, subscription: str) -> None:
    """Write down that one subscription is to end at once."""
    await work.session.execute(
        update(Subscription)
        .where(Subscription.id == subscription, Subscription.status.not_in(ENDED))
        .values(wish="stop_now")
    )


async def carry_out(units: Units, gateway: Gateway, subscription: str) -> None:
    """Tell the processor what the member wants; repeating it changes nothing."""
    async with units.read() as work:
        row = await work.session.get(Subscription, subscription)
    if row is None or row.wish == "renew":
        return
    if row.wish == "finish":
        state = await gateway.finish_subscription(subscription)
    else:
        state = await gateway.stop_subscription(subscription, at_once=row.wish == "stop_now")
    async with units.open() as work:
        await apply(work, state)


async def carry_out_due(units: Units, gateway: Gateway) -> int:
    """Carry out what the processor was not told yet (a job)."""
    async with units.read() as work:
        due = list(
            await work.session.scalars(
                select(Subscription.id)
                .where(
                    Subscription.status.not_in(ENDED),
                    or_(
                        Subscription.wish == "stop_now",
                        Subscription.wish.in_(("stop", "finish")) & Subscription.stops.is_(False),
                    ),
                )
                .limit(50)
            )
        )
    for subscription in due:
        await carry_out(units, gateway, subscription)
    return len(due)
