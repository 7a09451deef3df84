"""Gifts: a year of membership bought for somebody, handed over as a one-time link that can be printed.

The link's secret is derived from the co-op's key and never stored, so the giver can print it again and a stolen
database opens no gift. What becomes of a gift that nobody takes up is in `returns`.
"""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Select,
    String,
    exists,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop import ledger, policies
from coop.database import Base, changed
from coop.errors import NotFound, Refused, Unavailable
from coop.identity.accounts import Account
from coop.ledger import DEFERRED_DUES, GIFTS_OUTSTANDING
from coop.membership import obstacles, organisations, terms, vat
from coop.membership.obstacles import Obstacle
from coop.membership.terms import Term
from coop.money import Money
from coop.policies import Dues, Version
from coop.progress import Tell, nobody
from coop.settings import Settings
from coop.sponsorship import letters, limits, places, queue
from coop.sponsorship.limits import AlreadyMember
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


class GiftTakenBack(Refused):
    """This gift is not there any more: its giver has taken it back. You can ask for a place instead."""

    code = "gift_taken_back"


class GiftFrozen(Refused):
    """The bank of whoever paid for this gift is looking into the payment. Try the link again in some weeks."""

    code = "gift_frozen"


class GiftWaits(Refused):
    """Another gift waits already for the end of your year. This one stays good for somebody else, until its day."""

    code = "gift_waits"


class Gift(Base):
    """A paid year that waits for somebody to begin it.

    It is `kept` for a member whose year still runs, and `frozen` while its payment is disputed. `void` is one whose
    payment was lost.
    """

    __tablename__ = "gifts"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint(
            "state IN ('waiting', 'frozen', 'kept', 'claimed', 'returned', 'taken_back', 'void')",
            name="state",
        ),
        CheckConstraint("(state IN ('kept', 'claimed')) = (claimed_at IS NOT NULL)", name="claimed"),
        CheckConstraint("(state = 'kept') = (kept_for IS NOT NULL)", name="kept"),
        Index("one_kept_gift", "kept_for", unique=True),
        Index(
            "ix_gifts_waiting",
            "expires_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    """The giver."""
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True, repr=False)
    amount: Mapped[Money]
    policy_version: Mapped[UUID] = mapped_column(ForeignKey("policy_versions.id"))
    bought_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id"), unique=True, default=None)
    """The payment that bought it."""
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    claimed_at: Mapped[datetime | None] = mapped_column(default=None)
    kept_for: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"), default=None)
    """The member whose running year it will follow."""
    term_id: Mapped[UUID | None] = mapped_column(ForeignKey("terms.id"), unique=True, default=None)


_GONE: dict[str, type[Refused]] = {
    "claimed": GiftTaken,
    "kept": GiftTaken,
    "frozen": GiftFrozen,
    "taken_back": GiftTakenBack,
    "void": GiftTakenBack,
}


def code(settings: Settings, gift_id: UUID) -> str:
    """Return the secret of a gift's link: 192 bits, derived from the co-op's key."""
    if not settings.secret_key:
        raise Unavailable("This co-op has no secret key yet; `coop init` makes one.")
    mark = hmac.new(bytes.fromhex(settings.secret_key), b"gift:" + gift_id.bytes, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mark[:24]).decode()


async def buy(
    work: UnitOfWork,
    account_id: UUID,
    *,
    gift_id: UUID,
    dues: Version[Dues],
    payment_id: UUID | None = None,
) -> Gift:
    """Keep a year at the price of `dues` for whoever will bring the link; the caller has posted the money."""
    gift = Gift(
        id=gift_id,
        account_id=account_id,
        digest=_digest(code(work.settings, gift_id)),
        amount=Money(dues.document.price),
        policy_version=dues.id,
        bought_at=work.now,
        expires_at=work.now + KEPT,
        payment_id=payment_id,
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
    if gift.state in _GONE:
        raise _GONE[gift.state]
    if gift.state != "waiting" or gift.expires_at <= work.now:
        raise GiftReturned
    return gift


async def claim(work: UnitOfWork, account_id: UUID, secret: str) -> Term | None:
    """Take a gift up for `account_id`; a link works once, whoever comes first.

    Its year begins now, or follows the one that runs: then it is granted when a year is due to be renewed, neither
    earlier nor later than anybody else's, and nothing is returned yet.
    """
    await places.lock(work)
    gift = await find(work, secret)
    await organisations.require_person(work, account_id)
    await obstacles.none_before(work, account_id)
    try:
        await limits.may_renew(work, account_id)
    except AlreadyMember:
        await _keep(work, account_id, gift)
        return None
    if not await changed(
        work.session,
        update(Gift)
        .where(Gift.id == gift.id, Gift.state == "waiting")
        .values(state="claimed", claimed_at=work.now),
    ):
        raise GiftTaken
    # Who was given a year needs no place any more.
    await queue.withdraw(work, account_id)
    return await _begin(work, gift, account_id)


async def waits_for(work: UnitOfWork, account_id: UUID) -> Gift | None:
    """Return the gift that will follow an account's running year."""
    found: Gift | None = await work.session.scalar(select(Gift).where(Gift.kept_for == account_id))
    return found


async def let_go(work: UnitOfWork, account_id: UUID) -> None:
    """Let the link work again of a gift that was to follow an account's year, since there will be no other one."""
    await work.session.execute(
        update(Gift)
        .where(Gift.kept_for == account_id)
        .values(state="waiting", claimed_at=None, kept_for=None)
        .execution_options(synchronize_session=False)
    )


async def given_by(work: UnitOfWork, account_id: UUID) -> list[Gift]:
    """Return what an account has given, the newest first."""
    found = await work.session.scalars(
        select(Gift).where(Gift.account_id == account_id).order_by(Gift.bought_at.desc()).limit(200)
    )
    return list(found)


async def waiting_of(work: UnitOfWork, account_id: UUID, gift_id: UUID) -> Gift | None:
    """Return a gift of this giver that nobody has taken up."""
    found: Gift | None = await work.session.scalar(
        select(Gift).where(Gift.id == gift_id, Gift.account_id == account_id, Gift.state == "waiting")
    )
    return found


async def kept_due(work: UnitOfWork) -> int:
    """Return how many gifts are to begin now."""
    due = (await _kept_due(work)).subquery()
    return await work.session.scalar(select(func.count()).select_from(due)) or 0


async def begin_kept(units: Units, tell: Tell = nobody) -> int:
    """Begin the gifts of members whose years are due to be renewed (a job), each in a unit of its own: they are few."""
    done = 0
    after: UUID | None = None
    while True:
        async with units.read() as work:
            due = (await _kept_due(work)).order_by(Gift.id).limit(BATCH)
            ids = list(await work.session.scalars(due if after is None else due.where(Gift.id > after)))
        if not ids:
            return done
        # One that could not begin is not looked for again in this run.
        after = ids[-1]
        for gift_id in ids:
            async with units.open() as work:
                await places.lock(work)
                done += await _begin_kept(work, gift_id)
            tell(1)


async def _kept_due(work: UnitOfWork) -> Select[UUID]:
    notice = max((await policies.in_force(work, Dues)).document.notice_days)
    runs_on = exists().where(
        Term.account_id == Gift.kept_for,
        Term.ended_early_at.is_(None),
        Term.ends > work.now + timedelta(days=notice),
    )
    held_up = exists().where(Obstacle.account_id == Gift.kept_for)
    return select(Gift.id).where(Gift.state == "kept", ~runs_on, ~held_up)


async def _keep(work: UnitOfWork, account_id: UUID, gift: Gift) -> None:
    try:
        async with work.session.begin_nested():
            if not await changed(
                work.session,
                update(Gift)
                .where(Gift.id == gift.id, Gift.state == "waiting")
                .values(state="kept", claimed_at=work.now, kept_for=account_id),
            ):
                raise GiftTaken
    except IntegrityError as error:
        raise GiftWaits from error


async def unused(work: UnitOfWork, account_id: UUID) -> int:
    """Return how many gifts of a giver wait for somebody to take them up."""
    waiting = select(func.count()).where(Gift.account_id == account_id, Gift.state == "waiting")
    return await work.session.scalar(waiting) or 0


async def _begin_kept(work: UnitOfWork, gift_id: UUID) -> bool:
    gift = await work.session.get_one(Gift, gift_id, populate_existing=True)
    if gift.state != "kept" or gift.kept_for is None:
        return False
    account = await work.session.get_one(Account, gift.kept_for)
    latest = await terms.latest(work, account.id)
    if latest is not None and latest.ended_early_at is not None:
        # Whoever gave their year back does not want the next one either: the link works again.
        gift.state, gift.claimed_at, gift.kept_for = "waiting", None, None
        await work.session.flush()
        return True
    try:
        await limits.may_renew(work, account.id)
    except AlreadyMember:
        return False
    gift.state, gift.claimed_at, gift.kept_for = "claimed", work.now, None
    await work.session.flush()
    await queue.withdraw(work, account.id)
    await _begin(work, gift, account.id)
    return True


async def _begin(work: UnitOfWork, gift: Gift, account_id: UUID) -> Term:
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
    bought = {} if gift.payment_id is None else {gift.payment_id: gift.amount}
    await vat.due(work, term, paid=bought, person=account_id)
    await work.session.execute(update(Gift).where(Gift.id == gift.id).values(term_id=term.id))
    account = await work.session.get_one(Account, account_id)
    letters.post(work, account, letters.BEGUN, key=f"gift-begun:{gift.id}", day=places.last_day(work, term))
    return term


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
