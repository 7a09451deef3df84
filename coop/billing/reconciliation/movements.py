"""The balance: every movement on it has one entry in the books that moves as much, or is a difference.

Balance transactions are the one list in which every cent at Stripe appears exactly once, whatever moved it: charges,
refunds, disputes, fees, payouts, transfers. One that the books lack is first given to the webhooks' own code, as if its
webhook came now; what still differs then is named.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import case, exists, func, select, tuple_

from coop import ledger
from coop.billing import payments, stripe_events
from coop.billing.gateway import Gateway, Notice
from coop.billing.importing import held
from coop.billing.importing.held import ImportedMembership
from coop.billing.intents import Checkout
from coop.billing.lists import Movement
from coop.billing.reconciliation import differences, streams
from coop.billing.reconciliation.differences import Difference, Found
from coop.billing.reconciliation.tally import Tally
from coop.billing.stripe_events import Facts
from coop.errors import CoopError
from coop.ledger import (
    BANK,
    DISPUTE_FEES,
    DISPUTED,
    FEES,
    MEMBER_CREDIT,
    RESERVE,
    STRIPE,
    EntryPosting,
    JournalEntry,
    LedgerAccount,
    Posting,
)
from coop.money import ZERO, Money
from coop.unit_of_work import UnitOfWork, Units

OVERLAP = timedelta(days=1)
BATCH = 100
KINDS = (
    "amount_differs",
    "dispute_unbooked",
    "foreign_charge",
    "foreign_currency",
    "movement_unbooked",
    "refund_unbooked",
)
"""The kinds of differences whose object is a movement."""

CHARGES = frozenset({"charge", "payment"})
REFUNDS = frozenset({"refund", "payment_refund"})
REFUNDS_BACK = frozenset({"refund_failure", "payment_failure_refund"})
OWN = frozenset({"payout", "payout_cancel", "payout_failure", "topup", "topup_reversal"})
"""Between our balance at Stripe and our bank."""
COSTS = frozenset({"stripe_fee", "stripe_fx_fee", "tax_fee"})

Key = tuple[str, str]

log = structlog.get_logger("coop.reconciliation")


async def match(units: Units, gateway: Gateway, tally: Tally, *, start: datetime) -> None:
    """Hold every movement since the last time against the books."""
    async for movements in streams.pages(
        units, "movements", gateway.lists.movements, start=start, overlap=OVERLAP
    ):
        tally.looked += len(movements)
        # The oldest first, as they happened.
        await _hold(units, gateway, tally, tuple(reversed(movements)))


async def recheck(units: Units, gateway: Gateway, tally: Tally) -> None:
    """Look again at the differences that are open: some heal late, some were booked by hand."""
    after: UUID | None = None
    while True:
        async with units.read() as work:
            rows = await _open(work, after)
        if not rows:
            return
        after = rows[-1].id
        movements = [_remembered(row) for row in rows]
        await _hold(units, gateway, tally, movements)
        async with units.open() as work:
            apart = {movement.id for movement, _ in await _apart(work, movements)}
            for row in rows:
                if row.object_id not in apart:
                    tally.closed += await differences.gone(work, row.id)


async def unexplained(work: UnitOfWork, at_stripe: Money) -> Money:
    """Return by how much Stripe's balance exceeds the books beyond what open differences say."""
    said, booked = (
        await work.session.execute(
            select(func.sum(Difference.at_stripe), func.sum(Difference.in_books)).where(
                Difference.state == "open",
                Difference.kind.in_(KINDS),
                Difference.currency == work.settings.currency,
            )
        )
    ).one()
    return at_stripe - await ledger.balance(work, STRIPE) - ((said or ZERO) - (booked or ZERO))


async def _hold(units: Units, gateway: Gateway, tally: Tally, movements: Sequence[Movement]) -> None:
    async with units.read() as work:
        apart = await _apart(work, movements)
    if not apart:
        return
    paid_by: dict[str, str | None] = {}
    for movement, _ in apart:
        with tally.outlived(movement.type, movement.id):
            paid_by[movement.id] = await _heal(units, gateway, movement)
    async with units.open() as work:
        still = await _apart(work, [movement for movement, _ in apart])
        left = {movement.id for movement, _ in still}
        for movement, booked in still:
            found = await _named(work, movement, booked, paid_by.get(movement.id))
            tally.opened += await differences.note(work, found)
    for movement, _ in apart:
        if movement.id not in left:
            tally.heal(movement.type, movement.source or movement.id)


async def _apart(work: UnitOfWork, movements: Sequence[Movement]) -> list[tuple[Movement, Money | None]]:
    """Return the movements for which the books do not move as much, with what they do move (nothing: no entry)."""
    keys = [key for movement in movements for key in _keys(movement)]
    rows = await work.session.execute(
        select(
            JournalEntry.source,
            JournalEntry.external_id,
            func.sum(case((EntryPosting.account == STRIPE, EntryPosting.amount))),
        )
        .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .where(tuple_(JournalEntry.source, JournalEntry.external_id).in_(keys))
        .group_by(JournalEntry.source, JournalEntry.external_id)
    )
    booked: dict[Key, Money] = {(source, name): amount or ZERO for source, name, amount in rows}
    apart = []
    for movement in movements:
        found = [booked[key] for key in _keys(movement) if key in booked]
        total = sum(found, ZERO)
        if movement.currency != work.settings.currency or total != movement.net:
            apart.append((movement, total if found else None))
    return apart


def _keys(movement: Movement) -> tuple[Key, ...]:
    """Return under which sources and ids the books would have a movement."""
    by_hand = (differences.SOURCE, movement.id)
    source = movement.source or movement.id
    match movement.type:
        case kind if kind in CHARGES:
            return ("stripe", movement.id), by_hand
        case kind if kind in REFUNDS:
            return ("refund", source), by_hand
        case kind if kind in REFUNDS_BACK:
            return ("refund", f"failed:{source}"), by_hand
        case "adjustment" if _is_dispute(movement):
            return ("dispute", f"opened:{source}" if movement.net < ZERO else f"won:{source}"), by_hand
        case _:
            return ("stripe", movement.id), by_hand


def _is_dispute(movement: Movement) -> bool:
    return movement.source is not None and movement.source.startswith(("dp_", "du_"))


async def _heal(units: Units, gateway: Gateway, movement: Movement) -> str | None:
    """Do what the webhook of a movement would have done, and return the payment that it is about.

    What Stripe sends to the bank or keeps for itself has no webhook of ours, and one possible entry.
    """
    if movement.currency != units.settings.currency:
        return None
    if movement.type in OWN | COSTS:
        await _book(units, movement)
        return None
    if movement.source is None:
        return None
    paid_by: str | None = None
    facts = Facts()
    if movement.type in CHARGES:
        paid_by = await gateway.payment_of_charge(movement.source)
        if paid_by is not None and not await _taken_over(units, gateway, movement, paid_by):
            facts = await _origin(units, gateway, paid_by)
    elif movement.type in REFUNDS | REFUNDS_BACK:
        refund = await gateway.fetch_refund(movement.source)
        paid_by, facts = refund.payment, Facts(refund=refund)
    elif _is_dispute(movement):
        dispute = await gateway.fetch_dispute(movement.source)
        paid_by, facts = dispute.payment, Facts(dispute=dispute)
    try:
        async with units.open() as work:
            await stripe_events.apply(work, facts)
    except CoopError as error:
        log.info("movement_refused", kind=movement.type, code=error.code)
    return paid_by


async def _taken_over(units: Units, gateway: Gateway, movement: Movement, paid_by: str) -> bool:
    """Book the charge of a renewal that was imported and whose owner has not come yet."""
    async with units.read() as work:
        waiting = exists().where(
            ImportedMembership.subscription.is_not(None), ImportedMembership.state == "waiting"
        )
        if not await work.session.scalar(select(waiting)):
            return False
    bill = await gateway.lists.invoice_of(paid_by)
    subscription = None if bill is None else (await gateway.fetch_invoice(bill)).subscription
    if subscription is None:
        return False
    async with units.open() as work:
        return await held.renewed(work, subscription, movement)


async def _book(units: Units, movement: Movement) -> None:
    own = movement.type in OWN
    async with units.open() as work:
        if await ledger.find(work, "stripe", movement.id) is None:
            await ledger.post(
                work,
                source="stripe",
                external_id=movement.id,
                description="Between Stripe and the bank" if own else "Stripe's own fees",
                postings=_moved(movement, BANK if own else FEES),
            )


async def _origin(units: Units, gateway: Gateway, paid_by: str) -> Facts:
    """Return what a payment was for: the checkout or the invoice that it paid, if it was one of ours."""
    payment = await gateway.fetch_payment(paid_by)
    async with units.read() as work:
        if await payments.of_gateway(work, paid_by) is not None:
            return Facts(payment=payment)
        begun = None if payment.operation is None else await work.session.get(Checkout, payment.operation)
    if begun is not None:
        found = begun.gateway_id
        return Facts(
            checkout=await gateway.fetch_checkout(found)
            if found is not None
            else await gateway.find_checkout(begun.id, begun.begun_at - timedelta(hours=1)),
            payment=payment,
        )
    invoice = await gateway.lists.invoice_of(paid_by)
    if invoice is None:
        return Facts()
    told = Notice(id="", type="invoice.paid", object_id=invoice, live=True)
    return await stripe_events.look_up(units, gateway, told)


async def _named(work: UnitOfWork, movement: Movement, booked: Money | None, paid_by: str | None) -> Found:
    """Name a movement that the books do not have, and propose the entry that would settle it."""
    facts = {"type": movement.type}
    if movement.source is not None:
        facts["source"] = movement.source
    if movement.fee:
        facts["fee"] = str(movement.fee.minor)
    if paid_by is not None:
        facts["payment"] = paid_by
    ours = paid_by is not None and await payments.of_gateway(work, paid_by) is not None
    kind, postings = _judged(movement, booked, ours=ours, home=work.settings.currency)
    return Found(
        kind=kind,
        object_id=movement.id,
        since=movement.created,
        at_stripe=movement.net,
        in_books=booked or ZERO,
        currency=movement.currency,
        facts=facts,
        proposed=postings,
    )


def _judged(
    movement: Movement, booked: Money | None, *, ours: bool, home: str
) -> tuple[str, tuple[Posting, ...]]:
    if movement.currency != home:
        return "foreign_currency", ()
    if booked is not None:
        apart = movement.net - booked
        return "amount_differs", (Posting(STRIPE, apart), Posting(FEES, -apart))
    if movement.type in CHARGES:
        # Owed until somebody knows what it is for; an income that nobody can name is none.
        return "foreign_charge", _moved(movement, MEMBER_CREDIT)
    if movement.type in REFUNDS | REFUNDS_BACK:
        # The reserve bears refunds made past this program; that of a foreign charge undoes what is proposed for it.
        return "refund_unbooked", _moved(movement, RESERVE if ours else MEMBER_CREDIT)
    if _is_dispute(movement):
        return "dispute_unbooked", _moved(movement, DISPUTED, fees=DISPUTE_FEES)
    # What came is owed until it is known whose it is, what went falls on the reserve.
    return "movement_unbooked", _moved(movement, MEMBER_CREDIT if movement.amount > ZERO else RESERVE)


def _moved(movement: Movement, against: LedgerAccount, *, fees: LedgerAccount = FEES) -> tuple[Posting, ...]:
    """Return the entry of a movement: our balance, what it cost, and where the rest came from or went."""
    rows = (
        Posting(STRIPE, movement.net),
        Posting(fees, movement.fee),
        Posting(against, -movement.amount),
    )
    return tuple(row for row in rows if row.amount)


async def _open(work: UnitOfWork, after: UUID | None) -> Sequence[Difference]:
    statement = select(Difference).where(Difference.state == "open", Difference.kind.in_(KINDS))
    if after is not None:
        statement = statement.where(Difference.id > after)
    return (await work.session.scalars(statement.order_by(Difference.id).limit(BATCH))).all()


def _remembered(row: Difference) -> Movement:
    """Return the movement that a difference was about, as it was at Stripe, where it cannot change."""
    says: Mapping[str, str] = row.says
    net, fee = row.at_stripe or ZERO, Money(int(says.get("fee", "0")))
    return Movement(
        id=row.object_id,
        type=says["type"],
        source=says.get("source"),
        amount=net + fee,
        fee=fee,
        net=net,
        currency=row.currency,
        created=row.since,
    )
