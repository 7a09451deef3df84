"""What erasure means for money: nothing is charged any more, the processor forgets the customer, and the books stay whole.

An obstacle is put before the account: money that still comes for a year finds none to begin and goes back by itself.
"""

import contextlib
from collections.abc import Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, String, case, delete, exists, func, literal, or_, select, union, update
from sqlalchemy.orm import InstrumentedAttribute

from coop import ledger
from coop.billing import cards, checkout, instalment_endings, subscriptions
from coop.billing.cards import CardVisit, Customer
from coop.billing.gateway import Gateway, NotVisible
from coop.billing.importing.held import ImportedMembership
from coop.billing.intents import Checkout, Purpose
from coop.billing.offline import transfers
from coop.billing.offline.transactions import BankTransaction
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.billing.subscriptions import ENDED, OWING, Subscription
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.membership import obstacles
from coop.unit_of_work import UnitOfWork, Units

PURPOSES = ("dues", "sponsor")


async def pause(work: UnitOfWork, account_id: UUID) -> list[str]:
    """Have no renewal and no monthly gift charged while their owner may still change their mind; return which were paused."""
    going = list(
        await work.session.scalars(
            select(Subscription.id).where(
                Subscription.account_id == account_id,
                Subscription.status.not_in(ENDED),
                Subscription.wish == "renew",
            )
        )
    )
    await work.session.execute(
        update(Subscription)
        .where(Subscription.id.in_(going), Subscription.wish == "renew")
        # One whose card is being tried again cannot pause.
        .values(wish=case((Subscription.status.in_(OWING), "stop_now"), else_="pause"))
        .execution_options(synchronize_session=False)
    )
    return going


async def resume(work: UnitOfWork, paused: Sequence[str]) -> None:
    """Let go on what was paused and has not been stopped since."""
    await work.session.execute(
        update(Subscription)
        .where(Subscription.id.in_(paused), Subscription.wish == "pause", Subscription.status.not_in(ENDED))
        .values(wish="renew")
        .execution_options(synchronize_session=False)
    )


async def close_pages(units: Units, gateway: Gateway, account_id: UUID) -> None:
    """See to it that no page is left on which the person could pay, or leave a card."""
    async with units.read() as work:
        live = list(
            await work.session.scalars(
                select(Checkout).where(
                    Checkout.account_id == account_id, Checkout.state.in_(("intended", "open"))
                )
            )
        )
    for one in live:
        await checkout.close(units, gateway, one)
    await cards.close(units, gateway, account_id)


async def end(work: UnitOfWork, account_id: UUID) -> None:
    """End everything that would charge the person or wait for their money; a year by instalments ends with what was paid."""
    await instalment_endings.stop(work, account_id)
    for purpose in PURPOSES:
        await subscriptions.wish(work, account_id, "stop_now", purpose=purpose)
    for transfer in await transfers.announced(work, account_id):
        await transfers.withdraw(work, account_id, cast("Purpose", transfer.purpose))
    await obstacles.put(work, account_id, f"erased:{account_id}")


def known(account_id: InstrumentedAttribute[UUID] | UUID) -> ColumnElement[bool]:
    """Return the condition under which the processor may still know an account, or charge it."""
    return or_(
        exists().where(Customer.account_id == account_id),
        exists().where(CardVisit.account_id == account_id),
        exists().where(Subscription.account_id == account_id, Subscription.status.not_in(ENDED)),
    )


async def known_at_processor(work: UnitOfWork, account_id: UUID) -> bool:
    """Tell whether the processor may still know an account: a page is sometimes heard of after it was left."""
    return bool(await work.session.scalar(select(known(account_id))))


async def leave_processor(units: Units, gateway: Gateway, account_id: UUID) -> None:
    """Carry out at the processor what was written down, and have it forget the customer; repeating it changes nothing."""
    await close_pages(units, gateway, account_id)
    async with units.read() as work:
        going = list(
            await work.session.scalars(
                select(Subscription.id).where(
                    Subscription.account_id == account_id, Subscription.status.not_in(ENDED)
                )
            )
        )
    for subscription in going:
        async with units.open() as work:
            # One that began in the very moment of the end was not there to be stopped.
            await subscriptions.end(work, subscription)
        try:
            await subscriptions.carry_out(units, gateway, subscription)
        except NotVisible:
            # What the processor does not know it cannot charge.
            async with units.open() as work:
                await subscriptions.lost(work, subscription)
    customers = await _customers(units, gateway, account_id)
    for customer in customers:
        await gateway.cards.forget(customer)
    async with units.open() as work:
        # One that was heard of in between is not gone yet.
        for gone in (
            delete(Customer).where(Customer.account_id == account_id, Customer.gateway_id.in_(customers)),
            delete(CardVisit).where(
                CardVisit.account_id == account_id,
                CardVisit.state != "open",
                or_(CardVisit.customer.is_(None), CardVisit.customer.in_(customers)),
            ),
        ):
            await work.session.execute(gone)


async def _customers(units: Units, gateway: Gateway, account_id: UUID) -> set[str]:
    """Return everybody who an account is at the processor: there is one for each page that was opened before the first was known."""
    async with units.read() as work:
        first = select(Customer.gateway_id).where(Customer.account_id == account_id)
        visits = select(CardVisit.customer).where(
            CardVisit.account_id == account_id, CardVisit.customer.is_not(None)
        )
        customers = {name for name in await work.session.scalars(union(first, visits)) if name is not None}
        pages = list(
            await work.session.scalars(
                select(Checkout.gateway_id).where(
                    Checkout.account_id == account_id,
                    Checkout.automatic | (Checkout.instalments > 0),
                    Checkout.gateway_id.is_not(None),
                )
            )
        )
    for page in filter(None, pages):
        with contextlib.suppress(NotVisible):
            # Also one that was never paid: a card may have been tried on it.
            customers |= {(await gateway.fetch_checkout(page)).customer or ""}
    return customers - {""}


async def owed(work: UnitOfWork, account_id: UUID) -> bool:
    """Tell whether money is still to go back to the person: the books must know whose it is, and the bank's words may be needed."""
    reference = await ledger.references.find(work, account_id)
    credit = select(func.sum(EntryPosting.amount)).where(
        EntryPosting.account == ledger.MEMBER_CREDIT,
        EntryPosting.entry_id == JournalEntry.id,
        JournalEntry.person == reference,
    )
    if reference is not None and await work.session.scalar(credit):
        return True
    under_way = exists().where(
        Refund.payment_id == Payment.id, Payment.account_id == account_id, Refund.state == "intended"
    )
    return bool(await work.session.scalar(select(under_way)))


async def forget(work: UnitOfWork, account_id: UUID) -> None:
    """Take out of the rows that stay what still leads to the person."""
    own = select(Payment.id).where(Payment.account_id == account_id)
    for blank in (
        update(BankTransaction)
        .where(BankTransaction.payment_id.in_(own))
        .values(text="", payer="", payer_account=""),
        update(ImportedMembership)
        .where(ImportedMembership.account_id == account_id)
        .values(external_id=literal("erased:") + ImportedMembership.id.cast(String)),
        # The way back may lead to a network.
        update(Checkout).where(Checkout.account_id == account_id).values(next_path="/account", url=None),
    ):
        await work.session.execute(blank.execution_options(synchronize_session=False))
