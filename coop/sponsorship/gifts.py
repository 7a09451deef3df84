"""Gifts: a year of membership bought for somebody, handed over as a one-time link that can be printed.

The link's secret is derived from the co-op's key and never stored, so the giver can print it again and a stolen
database opens no gift. A gift that nobody has taken up on its day returns to the pool.
"""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger
from coop.database import Base, changed
from coop.errors import NotFound, Refused, Unavailable
from coop.ledger import DEFERRED_DUES, GIFTS_OUTSTANDING, POOL
from coop.membership import terms
from coop.membership.terms import Term
from coop.money import Money
from coop.policies import Dues, Version
from coop.settings import Settings
from coop.sponsorship import limits, places, queue
from coop.unit_of_work import UnitOfWork, Units, new_id

KEPT = timedelta(days=180)
"""How long a gift waits to be taken up before it returns to the pool."""
BATCH = 50


class NoSuchGift(NotFound):
    """This gift link is not complete or not known. Check that nothing was cut off."""

    code = "no_such_gift"


class GiftTaken(Refused):
    """This gift has been taken up already. Its giver may not know; you can ask for a place instead."""

    code = "gift_taken"


class GiftReturned(Refused):
    """This gift was not taken up in time and went to the solidarity pool. You can ask for a place there."""

    code = "gift_returned"


class Gift(Base):
    """A paid year that waits for somebody to begin it."""

    __tablename__ = "gifts"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint("state IN ('waiting', 'claimed', 'returned')", name="state"),
        CheckConstraint("(state = 'claimed') = (claimed_at IS NOT NULL)", name="claimed"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    """The giver."""
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True, repr=False)
    amount: Mapped[Money]
    policy_version: Mapped[UUID] = mapped_column(ForeignKey("policy_versions.id"))
    bought_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    claimed_at: Mapped[datetime | None] = mapped_column(default=None)
    term_id: Mapped[UUID | None] = mapped_column(ForeignKey("terms.id"), unique=True, default=None)


def code(settings: Settings, gift_id: UUID) -> str:
    """Return the secret of a gift's link: 192 bits, derived from the co-op's key."""
    if not settings.secret_key:
        raise Unavailable("This co-op has no secret key yet; `coop init` makes one.")
    mark = hmac.new(bytes.fromhex(settings.secret_key), b"gift:" + gift_id.bytes, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mark[:24]).decode()


async def buy(work: UnitOfWork, account_id: UUID, *, gift_id: UUID, dues: Version[Dues]) -> Gift:
    """Keep a year at the price of `dues` for whoever will bring the link; the caller has posted the money."""
    gift = Gift(
        id=gift_id,
        account_id=account_id,
        digest=_digest(code(work.settings, gift_id)),
        amount=Money(dues.document.price),
        policy_version=dues.id,
        bought_at=work.now,
        expires_at=work.now + KEPT,
    )
    work.session.add(gift)
    await work.session.flush()
    return gift


async def find(work: UnitOfWork, secret: str) -> Gift:
    """Return the gift behind a link's secret, or say kindly why there is none."""
    if not secret.isascii():
        raise NoSuchGift
    gift = await work.session.scalar(select(Gift).where(Gift.digest == _digest(secret)))
    if gift is None:
        raise NoSuchGift
    if gift.state == "claimed":
        raise GiftTaken
    if gift.state != "waiting" or gift.expires_at <= work.now:
        raise GiftReturned
    return gift


async def claim(work: UnitOfWork, account_id: UUID, secret: str) -> Term:
    """Begin the gift's year for `account_id`; a link works once, whoever comes first."""
    await places.lock(work)
    gift = await find(work, secret)
    await limits.may_renew(work, account_id)
    if not await changed(
        work.session,
        update(Gift)
        .where(Gift.id == gift.id, Gift.state == "waiting")
        .values(state="claimed", claimed_at=work.now),
    ):
        raise GiftTaken
    # Who was given a year needs no place any more.
    await queue.withdraw(work, account_id)
    dues = await places.dues_of(work, gift.policy_version)
    await ledger.post(
        work,
        source="gift",
        external_id=f"claim:{gift.id}",
        description="Dues for a year",
        postings=[ledger.debit(GIFTS_OUTSTANDING, gift.amount), ledger.credit(DEFERRED_DUES, gift.amount)],
        policy_version=dues.id,
        person=await ledger.references.of(work, account_id),
    )
    term = await terms.begin(work, account_id, dues=dues)
    gift.term_id = term.id
    return term


async def given_by(work: UnitOfWork, account_id: UUID) -> list[Gift]:
    """Return what an account has given, the newest first."""
    found = await work.session.scalars(
        select(Gift).where(Gift.account_id == account_id).order_by(Gift.bought_at.desc()).limit(200)
    )
    return list(found)


async def return_due(units: Units) -> int:
    """Return the gifts that nobody took up in time to the pool, and give places from them (a job)."""
    async with units.open() as work:
        await places.lock(work)
        due = await work.session.scalars(
            select(Gift).where(Gift.state == "waiting", Gift.expires_at <= work.now).limit(BATCH)
        )
        done = 0
        for gift in due.all():
            done += await _return(work, gift)
        if done:
            await queue.give(work)
    return done


async def _return(work: UnitOfWork, gift: Gift) -> bool:
    if not await changed(
        work.session,
        update(Gift).where(Gift.id == gift.id, Gift.state == "waiting").values(state="returned"),
    ):
        return False
    await ledger.post(
        work,
        source="gift",
        external_id=f"return:{gift.id}",
        description="A gift that was not taken up returns to the pool",
        postings=[ledger.debit(GIFTS_OUTSTANDING, gift.amount), ledger.credit(POOL, gift.amount)],
        policy_version=gift.policy_version,
    )
    return True


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
