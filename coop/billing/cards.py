"""Kept cards: one page on which a member leaves another card, once for everything that is charged by itself.

The processor's own page takes the card (nothing is charged there); then it becomes the one that every renewal, monthly
sponsoring and instalment of its owner uses, and what an old card could not pay is tried again. Whoever waits in the
queue may leave a card as well.
"""

from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import CheckConstraint, ForeignKey, String, Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.billing import operations
from coop.billing.gateway import Gateway, GatewayAway, GatewayRefused, HostedCheckout, NotVisible
from coop.database import Base, changed
from coop.identity.accounts import Account
from coop.unit_of_work import UnitOfWork, Units, new_id

OPEN_FOR = timedelta(hours=23)
"""The processor closes a page after a day at the latest."""
BATCH = 50

log = structlog.get_logger("coop.cards")


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """What a page that only takes a card is to know."""

    operation: UUID
    age: timedelta
    customer: str | None
    currency: str
    success_url: str
    cancel_url: str
    expires_at: datetime
    email: str | None
    locale: str


class KeptCard(msgspec.Struct, frozen=True, kw_only=True):
    """What became of such a page: still open, left behind, or a card kept for a customer."""

    status: Literal["open", "complete", "expired"]
    customer: str | None = None
    card: str | None = None


class Face(msgspec.Struct, frozen=True, kw_only=True):
    """A card as its owner recognises it."""

    brand: str
    last4: str
    month: int
    year: int


class Cards(Protocol):
    """What the processor does with cards that it keeps; calls raise what those of `Gateway` do."""

    async def keep(self, keeping: Keeping) -> HostedCheckout:
        """Open a page that takes a card, or return the one that this operation opened before."""

    async def kept(self, page: str) -> KeptCard:
        """Return what became of a page."""

    async def use(self, customer: str, card: str) -> None:
        """Charge `card` for everything of `customer` from now on, and try again what is still open."""

    async def forget(self, customer: str) -> None:
        """Delete a customer with every card and subscription; one who is gone already stays so."""

    async def face(self, customer: str) -> Face | None:
        """Return the card that would be charged next, if there is one."""


class Customer(Base):
    """Who an account is at the processor, once something of theirs is charged by itself or a card is kept."""

    __tablename__ = "customers"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    gateway_id: Mapped[str] = mapped_column(String(255), unique=True)


class CardVisit(Base):
    """One visit to the page that takes a card; its id is the operation that the processor is told."""

    __tablename__ = "card_visits"
    __table_args__ = (CheckConstraint("state IN ('open', 'kept', 'used', 'expired')", name="state"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    key: Mapped[str] = mapped_column(String(100), unique=True)
    next_path: Mapped[str] = mapped_column(Text)
    begun_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="open", index=True)
    gateway_id: Mapped[str | None] = mapped_column(String(255), unique=True, default=None)
    customer: Mapped[str | None] = mapped_column(String(255), default=None)
    card: Mapped[str | None] = mapped_column(String(255), default=None)


async def customer_of(work: UnitOfWork, account_id: UUID) -> str | None:
    """Return who an account is at the processor, if anybody."""
    found: str | None = await work.session.scalar(
        select(Customer.gateway_id).where(Customer.account_id == account_id)
    )
    return found


async def begin(units: Units, gateway: Gateway, *, account_id: UUID, next_path: str, key: str) -> str:
    """Return the page on which to leave a card; a repeat under the same key gets the same answer."""
    async with operations.released(units, key) as lease:
        async with units.open() as work:
            answer = await operations.claim(
                work, key, lease=lease, account_id=account_id, purpose="card", facts=(next_path,)
            )
            if answer is not None:
                return answer
            visit = await work.session.scalar(select(CardVisit).where(CardVisit.key == key))
            if visit is None:
                visit = CardVisit(
                    account_id=account_id,
                    key=key,
                    next_path=next_path,
                    begun_at=work.now,
                    expires_at=work.now + OPEN_FOR,
                )
                work.session.add(visit)
                await work.session.flush()
            account = await work.session.get_one(Account, account_id)
            back = work.settings.url(f"/account/card/return?visit={visit.id}")
            keeping = Keeping(
                operation=visit.id,
                age=work.now - visit.begun_at,
                customer=await customer_of(work, account_id),
                currency=work.settings.currency,
                success_url=back,
                cancel_url=f"{back}&stopped=1",
                expires_at=visit.expires_at,
                email=account.email if account.email_verified_at is not None else None,
                locale=account.locale,
            )
        hosted = await gateway.cards.keep(keeping)
        async with units.open() as work:
            await work.session.execute(
                update(CardVisit)
                .where(CardVisit.id == visit.id, CardVisit.gateway_id.is_(None))
                .values(gateway_id=hosted.id)
            )
            await operations.answer(work, key, hosted.url)
    return hosted.url


async def settle(units: Units, gateway: Gateway, visit_id: UUID) -> CardVisit | None:
    """Bring a visit to what became of it, as often as one likes; return it as it is then."""
    async with units.read() as work:
        visit = await work.session.get(CardVisit, visit_id)
    if visit is None or visit.gateway_id is None:
        return visit
    if visit.state == "open":
        state = await gateway.cards.kept(visit.gateway_id)
        async with units.open() as work:
            await _apply(work, visit.id, state)
            visit = await work.session.get_one(CardVisit, visit_id, populate_existing=True)
    if visit.state == "kept" and visit.customer is not None and visit.card is not None:
        await gateway.cards.use(visit.customer, visit.card)
        async with units.open() as work:
            await work.session.execute(
                update(CardVisit)
                .where(CardVisit.id == visit_id, CardVisit.state == "kept")
                .values(state="used")
            )
            visit = await work.session.get_one(CardVisit, visit_id, populate_existing=True)
    return visit


async def close(units: Units, gateway: Gateway, account_id: UUID) -> None:
    """See to it that a card can be left on no page of an account any more.

    A page whose answer was lost, or is still on its way, may open unseen until its time is over; so long its visit stays open.
    """
    async with units.read() as work:
        live = await work.session.scalars(
            select(CardVisit).where(CardVisit.account_id == account_id, CardVisit.state == "open")
        )
        visits, now = list(live), work.now
    for visit in visits:
        page = visit.gateway_id
        if page is None:
            found = await gateway.find_checkout(visit.id, visit.begun_at - timedelta(hours=1))
            page = None if found is None else found.id
        if page is not None:
            await gateway.expire_checkout(page)
            state = await gateway.cards.kept(page)
        elif visit.expires_at > now:
            continue
        else:
            state = KeptCard(status="expired")
        async with units.open() as work:
            await _apply(work, visit.id, state)


async def _apply(work: UnitOfWork, visit_id: UUID, state: KeptCard) -> None:
    still_open = update(CardVisit).where(CardVisit.id == visit_id, CardVisit.state == "open")
    if state.status == "expired":
        # Somebody may be its customer all the same, of a card whose bank asked for a word that never came.
        await work.session.execute(still_open.values(state="expired", customer=state.customer))
    if state.status != "complete" or state.customer is None or state.card is None:
        return
    if await changed(work.session, still_open.values(state="kept", customer=state.customer, card=state.card)):
        visit = await work.session.get_one(CardVisit, visit_id)
        await remember(work, visit.account_id, state.customer)


async def remember(work: UnitOfWork, account_id: UUID, customer: str) -> None:
    """Keep who an account is at the processor; the first one stays, so that one card serves everything."""
    if await customer_of(work, account_id) is None:
        work.session.add(Customer(account_id=account_id, gateway_id=customer))
        await work.session.flush()


async def settle_due(units: Units, gateway: Gateway) -> int:
    """Settle the visits from which nobody came back to our page (a job)."""
    async with units.read() as work:
        due = list(
            await work.session.scalars(
                select(CardVisit.id)
                .where(
                    CardVisit.state.in_(("open", "kept")),
                    CardVisit.gateway_id.is_not(None),
                    CardVisit.begun_at < work.now - timedelta(minutes=2),
                )
                .order_by(CardVisit.begun_at)
                .limit(BATCH)
            )
        )
    for visit_id in due:
        try:
            await settle(units, gateway, visit_id)
        except (GatewayRefused, NotVisible) as refusal:
            log.warning("card_not_settled", visit=str(visit_id), code=refusal.code)
        except GatewayAway:
            break
    return len(due)
