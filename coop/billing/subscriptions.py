"""Automatic renewals: the processor's yearly subscriptions, and what their members want of them.

A wish is written down first and carried out at the processor next, so that a processor that is away never makes
anybody ask twice. What somebody stops in the processor's dashboard counts as a wish, too.
"""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    String,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from coop.billing.gateway import Gateway, GatewayRefused, Renewal, SubscriptionState
from coop.billing.payments import Payment
from coop.database import Base, Row, changed, insert_once
from coop.membership import terms
from coop.membership.events import TermBegan
from coop.membership.terms import Term
from coop.money import Money
from coop.outbox import Event
from coop.unit_of_work import UnitOfWork, Units

ENDED = ("canceled", "incomplete_expired")
LIVING = ("renew", "pause", "stop")
"""Wishes that can still be changed."""
OWING = ("past_due", "unpaid", "incomplete")
"""States in which an invoice is open that the processor tries to collect."""
SLACK = timedelta(hours=36)
"""A charge may come so much before or after the end of the year without being moved: years end at midnight."""
COVERED = timedelta(days=31)

log = structlog.get_logger("coop.subscriptions")


class Subscription(Base):
    """One automatic renewal, as far as we need to know it."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        CheckConstraint("wish IN ('renew', 'pause', 'finish', 'stop', 'stop_now')", name="wish"),
        CheckConstraint("purpose IN ('dues', 'sponsor')", name="purpose"),
    )

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    """The processor's."""
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    amount: Mapped[Money]
    """What its member wants to pay each year."""
    begun_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(30), default="incomplete")
    stops: Mapped[bool] = mapped_column(default=False)
    """The processor knows that it ends with the year that is paid for."""
    paused: Mapped[bool] = mapped_column(default=False)
    """The processor was told that nothing is to be charged."""
    charges: Mapped[Money | None] = mapped_column(default=None)
    """What the processor was told to charge."""
    next_charge: Mapped[datetime | None] = mapped_column(default=None)
    """When it will; empty if it is to be asked, because a year was granted since."""
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
    begun = first(
        subscription, account_id=account_id, amount=amount, begun_at=work.now, wish=wish, purpose=purpose
    )
    await insert_once(work.session, Subscription, **begun)


def first(
    subscription: str,
    *,
    account_id: UUID,
    amount: Money,
    begun_at: datetime,
    wish: str = "renew",
    purpose: str = "dues",
) -> Row:
    """Return the columns of a subscription whose first charge was paid."""
    return {
        "id": subscription,
        "account_id": account_id,
        "amount": amount,
        "begun_at": begun_at,
        "status": "active",
        "stops": False,
        "paused": False,
        "charges": None,
        "next_charge": None,
        "wish": wish,
        "purpose": purpose,
    }


async def apply(work: UnitOfWork, state: SubscriptionState) -> bool:
    """Bring our row to what the processor says; a subscription that has ended never comes back to life.

    One that was stopped without our doing was stopped in the dashboard, which counts as a wish. Another amount or a
    pause that was set there is no member's word: it is left for the reconciliation to name.
    """
    known = {"status": state.status, "stops": state.stops, "next_charge": state.next_charge}
    as_agreed = Subscription.amount == state.charges
    as_wished = (Subscription.wish == "pause") == literal(state.paused)
    return await changed(
        work.session,
        update(Subscription)
        .where(
            Subscription.id == state.id,
            Subscription.status.not_in(ENDED),
            or_(
                *(getattr(Subscription, name).is_distinct_from(value) for name, value in known.items()),
                Subscription.charges.is_(None),
                and_(as_agreed, Subscription.charges.is_distinct_from(Subscription.amount)),
                and_(as_wished, Subscription.paused != literal(state.paused)),
            ),
        )
        .values(
            **known,
            paused=case((as_wished, literal(state.paused)), else_=Subscription.paused),
            charges=case(
                (or_(as_agreed, Subscription.charges.is_(None)), Subscription.amount),
                else_=Subscription.charges,
            ),
            wish=case(
                (
                    and_(
                        Subscription.wish == "renew",
                        Subscription.stops.is_(False),
                        literal(state.stops),
                    ),
                    "stop",
                ),
                else_=Subscription.wish,
            ),
        )
        .execution_options(synchronize_session=False),
    )


async def renewing(work: UnitOfWork, account_id: UUID, *, purpose: str = "dues") -> Subscription | None:
    """Return the subscription that will renew an account's membership, or its monthly gift, if one will."""
    found = await living(work, account_id, purpose=purpose)
    return found if found is not None and found.wish == "renew" else None


async def living(work: UnitOfWork, account_id: UUID, *, purpose: str = "dues") -> Subscription | None:
    """Return an account's latest subscription that renews, pauses, or could be taken up again."""
    found: Subscription | None = await work.session.scalar(
        select(Subscription)
        .where(
            Subscription.account_id == account_id,
            Subscription.purpose == purpose,
            Subscription.status.not_in(ENDED),
            Subscription.wish.in_(LIVING),
        )
        .order_by(Subscription.begun_at.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )
    return found


async def planned(work: UnitOfWork, account_ids: Collection[UUID]) -> dict[UUID, Money]:
    """Return what automatic renewals will charge, for the letters that announce them, in one statement."""
    rows = await work.session.execute(
        select(Subscription.account_id, Subscription.amount, Subscription.wish)
        .where(
            Subscription.account_id.in_(account_ids),
            Subscription.purpose == "dues",
            Subscription.status.not_in(ENDED),
            Subscription.wish.in_(LIVING),
        )
        .order_by(Subscription.begun_at)
    )
    # The latest of each is the last to be heard of.
    latest = {account_id: (amount, what) for account_id, amount, what in rows}
    return {account_id: amount for account_id, (amount, what) in latest.items() if what == "renew"}


async def wish(work: UnitOfWork, account_id: UUID, what: str, *, purpose: str = "dues") -> list[str]:
    """Write down what is to become of an account's renewals, or monthly gifts; return which.

    `renew`, `pause`, `stop` or `stop_now`. One whose card is being tried again cannot pause, nor go on to the end of a
    year that is not paid: it ends now.
    """
    owing = Subscription.status.in_(OWING)
    # Instalments, which finish by themselves, have their own way to be stopped (coop.billing.instalment_endings).
    which = (*LIVING, "finish") if what == "stop_now" else LIVING
    ids = await work.session.scalars(
        update(Subscription)
        .where(
            Subscription.account_id == account_id,
            Subscription.purpose == purpose,
            Subscription.status.not_in(ENDED),
            Subscription.wish.in_(which),
            Subscription.wish != what,
        )
        .values(wish=what if what == "renew" else case((owing, "stop_now"), else_=what))
        .returning(Subscription.id)
        .execution_options(synchronize_session=False)
    )
    return list(ids)


async def end(work: UnitOfWork, subscription: str) -> None:
    """Write down that one subscription is to end at once."""
    await work.session.execute(
        update(Subscription)
        .where(Subscription.id == subscription, Subscription.status.not_in(ENDED))
        .values(wish="stop_now")
    )


async def lost(work: UnitOfWork, subscription: str) -> None:
    """Write down that the processor does not know one subscription any more."""
    await work.session.execute(
        update(Subscription).where(Subscription.id == subscription).values(status="canceled")
    )


async def change_amount(work: UnitOfWork, subscription: Subscription, amount: Money) -> bool:
    """Write down what is to be charged from the next year on."""
    return await changed(
        work.session,
        update(Subscription)
        .where(
            Subscription.id == subscription.id,
            Subscription.status.not_in(ENDED),
            Subscription.wish.in_(LIVING),
        )
        .values(amount=amount, charges=func.coalesce(Subscription.charges, Subscription.amount)),
    )


async def look_again(work: UnitOfWork, event: Event) -> None:
    """Have the processor asked when it will charge next, since a year was granted; end what was paid for otherwise."""
    if not isinstance(event, TermBegan):
        return
    living_ones = (
        Subscription.account_id == event.account_id,
        Subscription.purpose == "dues",
        Subscription.status.not_in(ENDED),
        Subscription.wish.in_(LIVING),
    )
    paid = await work.session.scalar(
        select(Payment).where(Payment.term_id == event.term_id, Payment.method == "card")
    )
    if paid is not None:
        # The last choice counts: a renewal of its own replaces the one before, and so does paying by hand.
        await work.session.execute(
            update(Subscription)
            .where(*living_ones, Subscription.id != (paid.subscription or ""))
            .values(wish="stop_now")
            .execution_options(synchronize_session=False)
        )
    await work.session.execute(
        update(Subscription)
        .where(*living_ones)
        .values(next_charge=None)
        .execution_options(synchronize_session=False)
    )


handlers: dict[type[Event], Callable[[UnitOfWork, Event], Awaitable[None]]] = {TermBegan: look_again}
"""What happens to renewals when something happened elsewhere."""


async def carry_out(units: Units, gateway: Gateway, subscription: str) -> None:
    """Tell the processor what the member wants; repeating it changes nothing."""
    async with units.read() as work:
        row = await work.session.get(Subscription, subscription)
        term = None if row is None else await terms.latest(work, row.account_id)
        now = work.now
    if row is None or row.status in ENDED:
        return
    if row.wish == "finish":
        state = await gateway.finish_subscription(subscription)
        async with units.open() as work:
            await apply(work, state)
        return
    if row.wish == "stop" and row.purpose == "dues" and (term is None or term.ends <= now):
        # The next year has begun for the processor, and its invoice may be a draft: the member was there first.
        row.wish = "stop_now"
    if row.wish in LIVING and row.next_charge is None:
        state = await gateway.fetch_subscription(subscription)
        async with units.open() as work:
            await apply(work, state)
            row = await work.session.get_one(Subscription, subscription, populate_existing=True)
            if _superseded(row, term, now):
                row.wish = "stop_now"
    if row.wish == "stop_now":
        state = await gateway.cancel_subscription(subscription)
    else:
        pause = row.wish == "pause"
        wanted = Renewal(
            currency=units.settings.currency,
            stops=row.wish == "stop",
            amount=row.amount if row.amount != row.charges else None,
            paused=pause if pause != row.paused else None,
            charge_at=_charge_at(row, term, now),
        )
        state = await gateway.change_subscription(subscription, wanted)
    async with units.open() as work:
        await apply(work, state)


def _superseded(row: Subscription, term: Term | None, now: datetime) -> bool:
    """Tell whether the year that an open invoice is for was granted otherwise: by a gift, or from the pool."""
    return row.purpose == "dues" and row.status in OWING and term is not None and term.ends > now + COVERED


def _charge_at(row: Subscription, term: Term | None, now: datetime) -> datetime | None:
    """Return when the next charge should come, if it would come at another time than the end of the year."""
    if row.wish != "renew" or row.purpose != "dues":
        return None
    if row.next_charge is None or term is None or term.ended_early_at is not None:
        return None
    if row.status in OWING or term.ends <= now or abs(row.next_charge - term.ends) <= SLACK:
        return None
    return term.ends


def _to_be_told(now: datetime) -> ColumnElement[bool]:
    covered = exists().where(
        Term.account_id == Subscription.account_id, Term.ends > now, Term.ended_early_at.is_(None)
    )
    return or_(
        Subscription.wish == "stop_now",
        (Subscription.wish == "finish") & Subscription.stops.is_(False),
        # Stopped, but the processor has begun another year in the same moment.
        and_(Subscription.wish == "stop", Subscription.purpose == "dues", ~covered),
        and_(
            Subscription.wish.in_(LIVING),
            or_(
                (Subscription.wish == "stop") != Subscription.stops,
                (Subscription.wish == "pause") != Subscription.paused,
                Subscription.charges.is_distinct_from(Subscription.amount),
                Subscription.next_charge.is_(None),
            ),
        ),
    )


async def carry_out_due(units: Units, gateway: Gateway) -> int:
    """Carry out what the processor was not told yet (a job)."""
    async with units.read() as work:
        due = list(
            await work.session.scalars(
                select(Subscription.id)
                .where(Subscription.status.not_in(ENDED), _to_be_told(work.now))
                .limit(50)
            )
        )
    for subscription in due:
        try:
            await carry_out(units, gateway, subscription)
        except GatewayRefused as refusal:
            # One that the processor will not change must not keep the others from their turn.
            log.warning("subscription_refused", subscription=subscription, code=refusal.code)
    return len(due)
