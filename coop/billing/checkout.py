"""Checkout: from "I want to pay this much" to a year that begins, through the processor's hosted page.

Units and calls alternate: the intent is committed (with the pool's part reserved), the processor is asked, the result
is committed. `settle` is the one way in which a checkout ends, whether the success page, a webhook or the hourly
reconciliation brings the news.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text, update

from coop.billing import booking, cards, household_dues, instalments, intents, operations
from coop.billing.gateway import CheckoutState, Gateway, GatewayRefused, NotVisible, PaymentState
from coop.billing.intents import LIVE, Checkout, Wish
from coop.database import changed
from coop.identity import throttle
from coop.money import ZERO, Money
from coop.sponsorship import places, queue
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units

LONGEST_BANK = timedelta(days=30)
"""No delayed payment (a direct debit) stays undecided longer."""


async def begin(units: Units, gateway: Gateway, wish: Wish, *, key: str) -> str:
    """Return where to send the person next: the hosted page, or the place in the queue if the pool has no part to give.

    Nothing is charged here. A repeat under the same key gets the same answer.
    """
    async with operations.released(units, key) as lease:
        async with units.open() as work:
            facts: tuple[object, ...] = (
                wish.purpose,
                wish.amount.minor,
                wish.automatic,
                wish.next_path,
            )
            if wish.instalments:
                facts += ("instalments",)
            answer = await operations.claim(
                work, key, lease=lease, account_id=wish.account_id, purpose="checkout", facts=facts
            )
            if answer is not None:
                return answer
            other = await intents.live(work, wish.account_id)
        # In a unit of its own, so that a refusal does not take the count back.
        pages = throttle.PAYMENT_PAGES.by(str(wish.account_id))
        await throttle.admit(units, pages, refusal=intents.TooManyPages)
        if other is not None and other.key != key:
            # Two open payment pages would let one person pay twice: the old one is closed before a new one opens.
            await close(units, gateway, other)
        async with units.open() as work:
            intent = await intents.intend(work, wish, key)
            if intent is None:
                await operations.answer(work, key, "/place")
                return "/place"
            order = await intents.order(work, intent)
        try:
            hosted = await gateway.create_checkout(order)
        except GatewayRefused:
            await close(units, gateway, intent)
            raise
        async with units.open() as work:
            await work.session.execute(
                update(Checkout)
                .where(Checkout.id == intent.id, Checkout.gateway_id.is_(None))
                .values(gateway_id=hosted.id, url=hosted.url)
            )
            await work.session.execute(
                update(Checkout)
                .where(Checkout.id == intent.id, Checkout.state == "intended")
                .values(state="open")
            )
            await operations.answer(work, key, hosted.url)
        return hosted.url


async def ask(units: Units, gateway: Gateway, account_id: UUID, *, contribution: Money = ZERO) -> Place:
    """Ask for a place, or change what one would pay oneself, as `queue.ask` does, with no payment page in the way.

    A page on which another part can be paid is closed first. While a bank decides on what was paid there, the pool's part
    stays where it is.
    """
    async with units.read() as work:
        other = await intents.relied_on(work, account_id, but=contribution)
    if other is not None:
        await close(units, gateway, other)
    async with units.open() as work:
        await places.lock(work)
        if await intents.relied_on(work, account_id, but=contribution) is not None:
            raise intents.PaymentUnderWay
        return await queue.ask(work, account_id, contribution=contribution)


async def close(units: Units, gateway: Gateway, checkout: Checkout) -> None:
    """See to it that a checkout can be paid no more, and book how it ended."""
    if checkout.gateway_id is not None:
        state = await gateway.expire_checkout(checkout.gateway_id)
    else:
        # The answer to its opening was lost, so the page may exist although we never learnt its id.
        found = await gateway.find_checkout(checkout.id, checkout.begun_at - timedelta(hours=1))
        if found is None:
            async with units.open() as work:
                await _expire(work, checkout.id)
            return
        state = await gateway.expire_checkout(found.id) if found.status == "open" else found
    await settle(units, gateway, state)


async def settle(units: Units, gateway: Gateway, state: CheckoutState) -> None:
    """Book how a checkout stands, as often as one likes."""
    payment = await payment_of(gateway, state)
    async with units.open() as work:
        await apply(work, state, payment)


async def payment_of(gateway: Gateway, state: CheckoutState) -> PaymentState | None:
    """Return the payment behind a completed checkout; a subscription's lies behind its first invoice."""
    if state.status != "complete":
        return None
    paid_by = state.payment
    if paid_by is None and state.invoice is not None:
        paid_by = (await gateway.fetch_invoice(state.invoice)).payment
    return None if paid_by is None else await gateway.fetch_payment(paid_by)


async def apply(work: UnitOfWork, state: CheckoutState, payment: PaymentState | None) -> bool:
    """Bring our checkout to what the processor says of it; false if there was nothing to do."""
    if state.operation is None:
        return False
    checkout = await work.session.get(Checkout, state.operation, populate_existing=True)
    if checkout is None or checkout.state == "paid":
        return False
    if state.status == "complete" and state.paid:
        if payment is None:
            # Stripe says paid, but does not show the payment yet: it will tell again.
            raise NotVisible
        return await _complete(work, checkout, state, payment)
    if state.status == "expired" or (payment is not None and payment.failed):
        return await _expire(work, checkout.id)
    if state.status == "complete" and checkout.place_id is not None:
        # The bank takes days to say yes or no; the pool's part is kept until it has.
        await places.hold(work, checkout.place_id, work.now + LONGEST_BANK)
    if checkout.gateway_id is None:
        checkout.gateway_id, checkout.url, checkout.state = state.id, state.url, "open"
    return False


async def _complete(
    work: UnitOfWork, checkout: Checkout, state: CheckoutState, payment: PaymentState
) -> bool:
    if payment.amount != checkout.first_charge:
        raise GatewayRefused("What was paid is not what was asked for.")
    if checkout.purpose in {"sponsor", "household"} or checkout.amount != checkout.price:
        # The queue before any row of ours, as in `_expire`, so that the two never wait for each other.
        await places.lock(work)
    if not await changed(
        work.session,
        # Also from `expired`: money that came after all is booked, as credit if its reservation is gone.
        update(Checkout)
        .where(Checkout.id == checkout.id, Checkout.state != "paid")
        .values(state="paid", gateway_id=state.id, ended_at=work.now),
    ):
        return False
    if state.customer is not None:
        await cards.remember(work, checkout.account_id, state.customer)
    dues = await places.dues_of(work, checkout.policy_version)
    if checkout.purpose == "household":
        return await household_dues.book(
            work, payment, payer_id=checkout.account_id, checkout_id=checkout.id, dues=dues
        )
    if checkout.instalments and state.subscription is not None:
        return await instalments.begin(
            work,
            payment,
            account_id=checkout.account_id,
            dues=dues,
            total=checkout.amount,
            count=checkout.instalments,
            place_id=checkout.place_id,
            subscription=state.subscription,
        )
    return await booking.book(
        work,
        payment,
        account_id=checkout.account_id,
        purpose=checkout.purpose,
        dues=dues,
        place_id=checkout.place_id,
        subscription=state.subscription,
        operation=checkout.id,
    )


async def _expire(work: UnitOfWork, checkout_id: UUID) -> bool:
    await places.lock(work)
    if not await changed(
        work.session,
        update(Checkout)
        .where(Checkout.id == checkout_id, text(LIVE))
        .values(state="expired", ended_at=work.now),
    ):
        return False
    checkout = await work.session.get_one(Checkout, checkout_id, populate_existing=True)
    if checkout.place_id is not None:
        await queue.let_go(work, checkout.place_id)
    if checkout.purpose == "household":
        await household_dues.let_go(work, checkout.id)
    return True
