"""What a person means to pay: judged by law and standing, written down with the pool's part reserved, before anybody is asked.

`checkout` leads them to the processor with it, and books how it ended.
"""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop import policies
from coop.billing import cards, household_dues, instalment_plans, subscriptions
from coop.billing.gateway import Order
from coop.billing.instalment_plans import NoInstalments
from coop.billing.offline import transfers
from coop.database import Base
from coop.errors import Invalid, NotAllowed, Refused, Sentence, TooMany
from coop.identity.accounts import Account
from coop.membership import obstacles, organisations
from coop.money import Money
from coop.policies import Dues, Pool
from coop.sponsorship import limits, places, queue
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, new_id

LARGEST = Money(1_000_000)
"""Minor units; larger gifts come by bank transfer, where fees are small and the sender is known."""
MOST_HOURS = 23
"""The processor closes a hosted page after a day at the latest."""
FEWEST_MINUTES = 45
"""… and does not open one for less than half an hour."""
LIVE = "state IN ('intended', 'open')"

Purpose = Literal["dues", "household", "sponsor", "gift"]


class AmountTooSmall(Invalid):
    """A card can only be charged a little more than that; fees would take most of it."""

    code = "amount_too_small"


class AutomaticNeedsEmail(NotAllowed):
    """Automatic renewal needs an e-mail address that you have confirmed, since we tell you before each charge."""

    code = "automatic_needs_email"


class PaymentUnderWay(Refused):
    """A payment of yours is still under way; a bank debit takes some days. We write to you once it has arrived."""

    code = "payment_under_way"


class AlreadyMonthly(Refused):
    """You give each month already. Stop that first, then choose another amount."""

    code = "already_monthly"


class TooManyPages(TooMany):
    """You have opened many payment pages within the hour. Nothing was charged for them; wait a little, then try again."""

    code = "too_many_payment_pages"


class Checkout(Base):
    """One visit to the hosted payment page; its id is the operation that the processor is told."""

    __tablename__ = "checkouts"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint("purpose IN ('dues', 'household', 'sponsor', 'gift')", name="purpose"),
        CheckConstraint("state IN ('intended', 'open', 'paid', 'expired')", name="state"),
        CheckConstraint("instalments = 0 OR amount % instalments = 0", name="instalments"),
        Index(
            "one_live_checkout",
            "account_id",
            unique=True,
            sqlite_where=text(LIVE),
            postgresql_where=text(LIVE),
        ),
        Index("ix_checkouts_live", "state", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    key: Mapped[str] = mapped_column(String(100), unique=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    purpose: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Money]
    price: Mapped[Money]
    policy_version: Mapped[UUID] = mapped_column(ForeignKey("policy_versions.id"))
    automatic: Mapped[bool]
    instalments: Mapped[int] = mapped_column(default=0)
    """In how many equal charges the amount is paid; 0 at once."""
    next_path: Mapped[str] = mapped_column(Text)
    begun_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    place_id: Mapped[int | None] = mapped_column(ForeignKey("places.id"), default=None)
    """The place whose reservation covers the gap."""
    state: Mapped[str] = mapped_column(String(10), default="intended")
    gateway_id: Mapped[str | None] = mapped_column(String(255), unique=True, default=None)
    url: Mapped[str | None] = mapped_column(Text, default=None, repr=False)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)

    @property
    def first_charge(self) -> Money:
        """What the payment page asks for."""
        return Money(self.amount.minor // (self.instalments or 1))


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants to pay, and where they want to be led in the end (a path of ours)."""

    account_id: UUID
    amount: Money
    """For a household: of each year."""
    purpose: Purpose = "dues"
    automatic: bool = False
    """Dues renew each year, a gift to the pool each month."""
    instalments: bool = False
    """To pay by instalments, as many as the dues say; the amount is rounded up so that they are equal."""
    next_path: str = "/account"


async def live(work: UnitOfWork, account_id: UUID) -> Checkout | None:
    """Return the checkout that an account has under way, if any."""
    found: Checkout | None = await work.session.scalar(
        select(Checkout).where(Checkout.account_id == account_id, text(LIVE))
    )
    return found


async def relied_on(work: UnitOfWork, account_id: UUID, *, but: Money) -> Checkout | None:
    """Return the checkout under way of an account that pays its part of a year, if that is another one than `but`."""
    other = await live(work, account_id)
    return None if other is None or other.place_id is None or other.amount == but else other


async def intend(work: UnitOfWork, wish: Wish, key: str) -> Checkout | None:
    """Write the intent down, with the pool's part reserved; nothing if the person queues instead."""
    existing = await work.session.scalar(select(Checkout).where(Checkout.key == key))
    if existing is not None:
        return await _resume(work, existing)
    if await live(work, wish.account_id) is not None:
        # It could not be closed, since its page is complete and the bank has not paid yet; or it was opened just now.
        raise PaymentUnderWay
    account = await work.session.get_one(Account, wish.account_id)
    dues = await policies.in_force(work, Dues)
    price = Money(dues.document.price)
    await _allowed(work, wish, account, dues.document)
    hours = min((await policies.in_force(work, Pool)).document.reservation_hours, MOST_HOURS)
    expires_at = work.now + timedelta(hours=hours)
    place: Place | None = None
    amount = wish.amount
    if wish.instalments:
        await instalment_plans.may_begin(work, account)
        amount = _rounded(wish, dues.document)
        wish = msgspec.structs.replace(wish, amount=amount)
    if wish.purpose == "dues":
        await limits.may_renew(work, wish.account_id)
        await obstacles.none_before(work, wish.account_id)
        place = await _gap(work, wish, price, expires_at)
        if place is not None and place.state != "offered":
            return None
    elif wish.purpose == "gift":
        amount = price
    people: list[UUID] = []
    if wish.purpose == "household":
        people = await _household(work, wish.account_id)
        amount, price = len(people) * wish.amount, len(people) * price
    checkout = Checkout(
        key=key,
        account_id=wish.account_id,
        purpose=wish.purpose,
        amount=amount,
        price=price,
        policy_version=place.policy_version if place and place.policy_version else dues.id,
        automatic=wish.automatic and wish.purpose in {"dues", "sponsor"},
        instalments=dues.document.instalments if wish.instalments else 0,
        next_path=wish.next_path,
        begun_at=work.now,
        expires_at=expires_at,
        place_id=None if place is None else place.id,
    )
    try:
        async with work.session.begin_nested():
            work.session.add(checkout)
    except IntegrityError as error:
        raise PaymentUnderWay from error
    if people:
        # Who had announced a transfer for them pays by card after all.
        await transfers.superseded(work, wish.account_id, "household")
        await household_dues.intend(work, people, checkout_id=checkout.id, each=wish.amount, dues=dues)
        await work.session.flush()
    return checkout


async def _household(work: UnitOfWork, payer_id: UUID) -> list[UUID]:
    """Return whose years a payer can pay for now."""
    await obstacles.none_before(work, payer_id)
    # Before any row of ours, as everywhere.
    await places.lock(work)
    people = await household_dues.payable(work, payer_id)
    if not people:
        raise household_dues.NobodyToPayFor
    return people


async def _allowed(work: UnitOfWork, wish: Wish, account: Account, dues: Dues) -> None:
    """Refuse amounts that no card should be charged, and what would go on by itself without anybody being told."""
    least = Money(dues.minimum_card)
    if wish.amount < least:
        plain = f"{work.settings.money.plain(least)} {work.settings.currency.upper()}"
        raise AmountTooSmall(
            Sentence("The least a card can be charged here is %(amount)s.", amount=plain), field="amount"
        )
    if wish.amount > LARGEST:
        raise Invalid("For sums this large, please write to the treasurer.", field="amount")
    if wish.automatic and (account.email is None or account.email_verified_at is None):
        raise AutomaticNeedsEmail(field="automatic")
    monthly = wish.automatic and wish.purpose == "sponsor"
    if monthly and await subscriptions.renewing(work, wish.account_id, purpose="sponsor"):
        raise AlreadyMonthly
    if wish.purpose == "dues":
        await organisations.require_enough(work, account.id, wish.amount)
        if wish.automatic and await organisations.of(work, account.id) is not None:
            raise Invalid("An organisation chooses its amount anew each year.", field="renewal")


def _rounded(wish: Wish, dues: Dues) -> Money:
    """Return what equal instalments of the wished amount add up to."""
    if wish.automatic:
        raise Invalid(
            "Instalments end by themselves after a year. Choose them or automatic renewal.", field="renewal"
        )
    each = Money(dues.instalment(wish.amount.minor))
    if wish.purpose != "dues" or not each:
        raise NoInstalments(field="renewal")
    return dues.instalments * each


async def _gap(work: UnitOfWork, wish: Wish, price: Money, expires_at: datetime) -> Place | None:
    """Have the pool keep what is missing to the price; who pays it all leaves the queue once that is paid."""
    if wish.amount >= price:
        await transfers.superseded(work, wish.account_id, place_id=None)
        return None
    place = await queue.ask(work, wish.account_id, contribution=wish.amount)
    # A little longer than the page is open, so that a payment in the last minute still finds its reservation.
    if place.state == "offered":
        await places.hold(work, place.id, expires_at + timedelta(hours=1))
    # Who had announced a transfer pays by card after all, on what the pool keeps already.
    await transfers.superseded(work, wish.account_id, place_id=place.id)
    return place


async def _resume(work: UnitOfWork, checkout: Checkout) -> Checkout:
    """Carry an intent on whose first try died; the page gets a fresh deadline if little is left of it."""
    if checkout.state not in {"intended", "open"}:
        raise Refused("That payment has ended already. Start again if you still want to pay.")
    if checkout.expires_at < work.now + timedelta(minutes=FEWEST_MINUTES):
        checkout.expires_at = work.now + timedelta(hours=MOST_HOURS)
        if checkout.place_id is not None:
            place = await work.session.get_one(Place, checkout.place_id)
            await places.hold(work, place.id, checkout.expires_at + timedelta(hours=1))
    return checkout


async def order(work: UnitOfWork, checkout: Checkout) -> Order:
    """Return what the processor is asked for."""
    account = await work.session.get_one(Account, checkout.account_id)
    settings = work.settings
    what = {
        "dues": f"A year of membership, {settings.name}",
        "household": f"A year of membership for each of a household, {settings.name}",
        "sponsor": f"For the solidarity pool of {settings.name}",
        "gift": f"A year of membership as a gift, {settings.name}",
    }
    return Order(
        operation=checkout.id,
        age=work.now - checkout.begun_at,
        amount=checkout.first_charge,
        currency=settings.currency,
        description=what[checkout.purpose],
        yearly=checkout.automatic and checkout.purpose == "dues",
        monthly=checkout.automatic and checkout.purpose == "sponsor",
        instalments=checkout.instalments,
        success_url=settings.url(f"/join/return?checkout={checkout.id}"),
        cancel_url=settings.url(f"/join/return?checkout={checkout.id}&stopped=1"),
        expires_at=checkout.expires_at,
        # Who pays by hand leaves no customer behind, and uses none.
        customer=await cards.customer_of(work, account.id)
        if checkout.automatic or checkout.instalments
        else None,
        email=account.email if account.email_verified_at is not None else None,
        locale=account.locale,
    )
