"""What members decide about their automatic renewal: another amount, a pause, taking it up again.

Each is written down with its acknowledgement in one unit, and carried out at the processor after it. Stopping is in
`withdrawal`, with whatever else ends by a member's word.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from coop import policies
from coop.billing import gaps, letters, operations, subscriptions
from coop.billing.gateway import Gateway, GatewayAway, GatewayRefused
from coop.billing.intents import LARGEST, AmountTooSmall, AutomaticNeedsEmail
from coop.errors import Invalid, Refused, Sentence
from coop.identity.accounts import Account
from coop.membership import renewal_links, terms
from coop.membership.terms import Term
from coop.money import ZERO, Money
from coop.policies import Dues
from coop.sponsorship import places
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units

What = Literal["amount", "pause", "resume"]


class NothingRenews(Refused):
    """Nothing renews by itself here. You can choose automatic renewal when you pay for your next year."""

    code = "nothing_renews"


class YearHasEnded(Refused):
    """Your year has ended, so there is nothing to take up again: pay for the next one, and choose how it renews."""

    code = "year_has_ended"


class SignInToRaise(Invalid):
    """To pay more than that, sign in first."""

    code = "sign_in_to_raise"


@dataclass(frozen=True, slots=True)
class Prospect:
    """What will happen at the end of a member's year, as far as it is known now."""

    term: Term | None
    amount: Money | None
    """What the member wants to pay by itself; empty if nothing renews."""
    wish: str
    """`renew`, `pause`, `stop`, or nothing."""
    owing: bool
    """A card has failed, and is being tried again."""
    charge_at: datetime | None
    price: Money
    place: Place | None
    """The request by which the pool's part is asked for or kept."""
    most: Money
    """The most that can be chosen without signing in."""

    @property
    def gap(self) -> Money:
        """What the pool is to add."""
        return ZERO if self.amount is None or self.amount >= self.price else self.price - self.amount


async def prospect(work: UnitOfWork, account_id: UUID) -> Prospect:
    """Return what will happen at the end of a member's year."""
    living = await subscriptions.living(work, account_id)
    term = await terms.latest(work, account_id)
    dues = (await policies.in_force(work, Dues)).document
    if term is not None and term.last_instant <= work.now:
        term = None
    amount = None if living is None else living.amount
    return Prospect(
        term=term,
        amount=amount,
        wish="" if living is None else living.wish,
        owing=living is not None and living.status in subscriptions.OWING,
        charge_at=None
        if living is None or term is None
        else max(term.ends, work.now, living.next_charge or term.ends),
        price=Money(dues.price),
        place=await places.open_place(work, account_id),
        most=max(Money(dues.suggested[-1]), Money(dues.price), amount or ZERO),
    )


async def change(
    units: Units,
    gateway: Gateway,
    *,
    account_id: UUID,
    what: What,
    key: str,
    amount: Money = ZERO,
    signed_in: bool = True,
) -> None:
    """Do what a member decided, once for each key; the processor is told next, however long it is away."""
    async with operations.released(units, key) as lease:
        async with units.open() as work:
            facts = (what, amount.minor)
            if await operations.claim(
                work, key, lease=lease, account_id=account_id, purpose="renewal", facts=facts
            ):
                return
            # The queue before any row of ours, as everywhere.
            await places.lock(work)
            living = await subscriptions.living(work, account_id)
            if living is None:
                raise NothingRenews
            match what:
                case "amount":
                    await _change_amount(work, living, amount, key, signed_in=signed_in)
                case "pause":
                    await gaps.release(work, living)
                    if await subscriptions.wish(work, account_id, "pause"):
                        await _tell(work, account_id, letters.PAUSED, key)
                case "resume":
                    await _resume(work, living, key)
            await operations.answer(work, key, "done")
        try:
            await subscriptions.carry_out(units, gateway, living.id)
        except (GatewayAway, GatewayRefused):
            # It is written down, and the worker tells the processor; the member need not ask again.
            return


async def _change_amount(
    work: UnitOfWork, living: subscriptions.Subscription, amount: Money, key: str, *, signed_in: bool
) -> None:
    dues = (await policies.in_force(work, Dues)).document
    least, most = Money(dues.minimum_card), max(Money(dues.suggested[-1]), Money(dues.price), living.amount)
    plain, code = work.settings.money.plain, work.settings.currency.upper()
    if amount < least:
        raise AmountTooSmall(
            Sentence("The least a card can be charged here is %(amount)s.", amount=f"{plain(least)} {code}"),
            field="amount",
        )
    if amount > LARGEST:
        raise Invalid("For sums this large, please write to the treasurer.", field="amount")
    if not signed_in and amount > most:
        # A letter may be forwarded: whoever holds its link can do no more harm than a letter more.
        raise SignInToRaise(
            Sentence("To pay more than %(amount)s, sign in first.", amount=f"{plain(most)} {code}"),
            field="amount",
        )
    if amount == living.amount:
        return
    if amount >= Money(dues.price):
        await gaps.release(work, living)
    await subscriptions.change_amount(work, living, amount)
    # The gap of what is announced already is asked for at once; who waits for one keeps their place in the queue.
    await gaps.keep(work, living.account_id)
    await _tell(work, living.account_id, letters.AMOUNT_CHANGED, key, amount=amount)


async def _resume(work: UnitOfWork, living: subscriptions.Subscription, key: str) -> None:
    account = await work.session.get_one(Account, living.account_id)
    if account.email is None or account.email_verified_at is None:
        raise AutomaticNeedsEmail
    term = await terms.latest(work, living.account_id)
    if term is None or term.ended_early_at is not None or term.ends <= work.now:
        raise YearHasEnded
    if await subscriptions.wish(work, living.account_id, "renew"):
        await gaps.keep(work, living.account_id)
        await _tell(work, living.account_id, letters.RESUMED, key, amount=living.amount)


async def _tell(
    work: UnitOfWork,
    account_id: UUID,
    words: letters.Letters,
    key: str,
    *,
    amount: Money | None = None,
) -> None:
    term = await terms.latest(work, account_id)
    renewal = "/account/renewal" if term is None else renewal_links.path(work.settings, term.id)
    await letters.post(work, account_id, words, key=f"acknowledged:{key}", amount=amount, renewal=renewal)
