"""Acts of treasurers: each is a small document, so that a second treasurer approves exactly what the first proposed.

Small sums are decided by one with a reason that the member reads; large ones, and all cash, by two.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select, update

from coop import ledger
from coop.billing import disputes, household_dues, refunds, vat_payments
from coop.billing.disputes import Dispute
from coop.billing.offline import matching, transactions, transfers
from coop.billing.offline.transfers import Purpose
from coop.billing.payments import Payment
from coop.billing.refunds import Refund, TooMuchBack
from coop.billing.vat_payments import PayVat, UndoVat
from coop.database import changed
from coop.errors import Invalid, NotFound
from coop.identity.accounts import Account
from coop.ledger import BANK, CASH, MEMBER_CREDIT, POOL
from coop.membership import households, organisations
from coop.money import ZERO, Money
from coop.sponsorship import places, queue
from coop.stewardship import approvals, audit, roles
from coop.stewardship.approvals import Proposal
from coop.unit_of_work import UnitOfWork


class NoSuchRefund(NotFound):
    """There is no such refund to be sent by hand, or it was sent already."""

    code = "no_such_refund"


class Cash(msgspec.Struct, frozen=True, kw_only=True, tag="cash"):
    """Cash that was received; the till and the books are compared by two people."""

    account_id: UUID
    amount: int
    purpose: Purpose


class Assign(msgspec.Struct, frozen=True, kw_only=True, tag="assign"):
    """A credit of the bank that is found to be a member's."""

    transaction_id: UUID
    account_id: UUID
    purpose: Purpose


class SendBack(msgspec.Struct, frozen=True, kw_only=True, tag="send_back"):
    """A credit of the bank that goes back to whoever sent it."""

    transaction_id: UUID


class GiveToPool(msgspec.Struct, frozen=True, kw_only=True, tag="give_to_pool"):
    """A credit of the bank that somebody meant for the pool, without an account here."""

    transaction_id: UUID


class SetAside(msgspec.Struct, frozen=True, kw_only=True, tag="set_aside"):
    """A credit of the bank that is no member's payment: a payout of the card processor, a grant; it is booked elsewhere."""

    transaction_id: UUID


class GiveBack(msgspec.Struct, frozen=True, kw_only=True, tag="give_back"):
    """A payment that goes back, in part or whole, while what it paid for stays."""

    payment_id: UUID
    amount: int


class SettleDispute(msgspec.Struct, frozen=True, kw_only=True, tag="settle_dispute"):
    """A lost dispute that its member has made good by bank transfer, or that is forgiven."""

    dispute_id: str
    received: int


Act = Cash | Assign | SendBack | GiveToPool | SetAside | GiveBack | SettleDispute | PayVat | UndoVat


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A proposal as a second treasurer reads it."""

    id: UUID
    kind: str
    amount: Money | None
    about: str | None
    """The handle of the member whom it concerns."""
    detail: str
    """What the bank says of a credit; for other kinds the document itself."""
    reason: str
    by: str
    proposed_by: UUID
    lapses_at: datetime


async def decide(work: UnitOfWork, act: Act, *, by: UUID, reason: str) -> Proposal | None:
    """Carry an act out, or propose it to a second treasurer if it is large; the proposal is returned then."""
    await roles.require(work, by, "treasurer")
    amount, about = await _weighed(work, act)
    kind = f"money.{act.__struct_config__.tag}"
    if isinstance(act, Cash) or amount.minor > work.settings.two_people_above:
        document = msgspec.json.encode(act).decode()
        return await approvals.propose(
            work, by, kind=kind, document=document, role="treasurer", reason=reason, about=about
        )
    await audit.record(work, act=kind, reason=reason, actor=by, about=about, subject=_subject(act))
    await _carry_out(work, act, external_id=_subject(act))
    return None


async def in_words(work: UnitOfWork, proposal: Proposal) -> Proposed:
    """Return what a proposal is about, for whoever is to approve it."""
    amount, detail = None, ""
    if proposal.kind.startswith("money."):
        act = msgspec.json.decode(proposal.document, type=Act)
        if isinstance(act, Cash | GiveBack):
            amount = Money(act.amount)
        elif isinstance(act, SettleDispute):
            amount, detail = Money(act.received), act.dispute_id
        elif isinstance(act, PayVat):
            amount, detail = Money(act.amount), f"{act.period}: {act.reference}"
        elif isinstance(act, UndoVat):
            paid = await work.session.get(vat_payments.VatPayment, act.payment_id)
            if paid is not None:
                amount, detail = paid.amount, f"{paid.period}: {paid.reference}"
        else:
            found = await work.session.get(transactions.BankTransaction, act.transaction_id)
            if found is not None:
                amount, detail = found.amount, f"{found.booked_on:%Y-%m-%d} {found.payer}: {found.text}"
    else:
        detail = proposal.document
    named = {proposal.proposed_by, proposal.about_id or proposal.proposed_by}
    rows = await work.session.execute(select(Account.id, Account.handle).where(Account.id.in_(named)))
    handles = dict(rows.all())
    return Proposed(
        id=proposal.id,
        kind=proposal.kind,
        amount=amount,
        about=None if proposal.about_id is None else handles.get(proposal.about_id),
        detail=detail,
        reason=proposal.reason,
        by=handles.get(proposal.proposed_by, ""),
        proposed_by=proposal.proposed_by,
        lapses_at=proposal.lapses_at,
    )


async def approve(work: UnitOfWork, proposal_id: UUID, *, by: UUID) -> Proposal:
    """Approve another treasurer's proposal and carry it out in this very unit."""
    proposal = await approvals.approve(work, proposal_id, by)
    act = msgspec.json.decode(proposal.document, type=Act)
    await _carry_out(work, act, external_id=str(proposal.id))
    return proposal


async def sent(work: UnitOfWork, transaction_id: UUID, *, by: UUID) -> None:
    """Book that a credit has been sent back, as the bank's own transfer."""
    await roles.require(work, by, "treasurer")
    transaction = await transactions.get(work, transaction_id, state="returning")
    await transactions.move(work, transaction, "returned", since="returning")
    await audit.record(
        work, act="money.sent", reason="Sent back by bank transfer", actor=by, subject=str(transaction_id)
    )
    await ledger.post(
        work,
        source="bank",
        external_id=f"returned:{transaction.id}",
        description="Sent back to whoever sent it",
        postings=[ledger.debit(MEMBER_CREDIT, transaction.amount), ledger.credit(BANK, transaction.amount)],
    )


async def paid_out(work: UnitOfWork, refund_id: UUID, *, by: UUID) -> None:
    """Book that a refund of a payment by bank or in cash has been handed over."""
    await roles.require(work, by, "treasurer")
    refund = await work.session.get(Refund, refund_id, populate_existing=True)
    payment = None if refund is None else await work.session.get(Payment, refund.payment_id)
    if refund is None or payment is None or payment.method == "card":
        raise NoSuchRefund
    if not await changed(
        work.session,
        update(Refund).where(Refund.id == refund_id, Refund.state == "intended").values(state="sent"),
    ):
        raise NoSuchRefund
    await audit.record(
        work,
        act="refund.paid_out",
        reason="Given back by hand",
        actor=by,
        about=payment.account_id,
        subject=str(refund_id),
    )
    await ledger.post(
        work,
        source="refund",
        external_id=f"hand:{refund.id}",
        description="Given back",
        postings=[
            ledger.debit(MEMBER_CREDIT, refund.amount),
            ledger.credit(BANK if payment.method == "bank" else CASH, refund.amount),
        ],
        person=await ledger.references.of(work, payment.account_id),
    )


async def _carry_out(work: UnitOfWork, act: Act, *, external_id: str) -> None:
    await places.lock(work)
    if isinstance(act, Cash):
        await matching.receive(
            work,
            account_id=act.account_id,
            amount=Money(act.amount),
            purpose=act.purpose,
            method="cash",
            external_id=f"cash:{external_id}",
            transfer=await transfers.current(work, act.account_id, act.purpose),
        )
        return
    if isinstance(act, GiveBack):
        payment = await work.session.get_one(Payment, act.payment_id, populate_existing=True)
        await refunds.give_back(work, payment, Money(act.amount), reason="by a treasurer")
        return
    if isinstance(act, SettleDispute):
        await disputes.settle(work, act.dispute_id, received=Money(act.received))
        return
    if isinstance(act, PayVat | UndoVat):
        await vat_payments.carry_out(work, act)
        return
    transaction = await transactions.get(work, act.transaction_id)
    match act:
        case Assign():
            payment = await matching.receive(
                work,
                account_id=act.account_id,
                amount=transaction.amount,
                purpose=act.purpose,
                method="bank",
                external_id=f"bank:{transaction.id}",
                transfer=await transfers.current(work, act.account_id, act.purpose),
            )
            await transactions.move(
                work, transaction, "matched", since="unmatched", payment_id=payment.id, why=None
            )
        case GiveToPool():
            await transactions.move(work, transaction, "given", since="unmatched")
            await _received(work, transaction, POOL, "A gift to the solidarity pool")
            await queue.give(work)
        case SendBack():
            await transactions.move(work, transaction, "returning", since="unmatched")
            await _received(work, transaction, MEMBER_CREDIT, "Money to be sent back")
        case SetAside():
            await transactions.move(work, transaction, "aside", since="unmatched")


async def _received(
    work: UnitOfWork, transaction: transactions.BankTransaction, against: ledger.LedgerAccount, what: str
) -> None:
    await ledger.post(
        work,
        source="bank",
        external_id=f"received:{transaction.id}",
        description=what,
        postings=[ledger.debit(BANK, transaction.amount), ledger.credit(against, transaction.amount)],
    )


async def _weighed(work: UnitOfWork, act: Act) -> tuple[Money, UUID | None]:
    """Return what an act moves and whom it concerns, having made sure that it speaks of something that is there."""
    match act:
        case Cash() | Assign():
            account = await work.session.get(Account, act.account_id)
            if account is None or account.erased_at is not None:
                raise Invalid("Nobody has that handle.", field="handle")
            amount = (
                _positive(act.amount)
                if isinstance(act, Cash)
                else (await transactions.get(work, act.transaction_id)).amount
            )
            await _buys(work, act, amount)
            return amount, act.account_id
        case GiveBack():
            payment = await work.session.get(Payment, act.payment_id)
            if payment is None:
                raise Invalid("Choose one of the payments.", field="payment")
            amount = _positive(act.amount)
            if amount > payment.amount - payment.refunded - payment.disputed:
                raise TooMuchBack(field="amount")
            return amount, payment.account_id
        case SettleDispute():
            dispute = await work.session.get(Dispute, act.dispute_id)
            if dispute is None:
                raise Invalid("Choose one of the disputes.", field="dispute")
            disputed = await work.session.get_one(Payment, dispute.payment_id)
            # Forgiven or made good: as much is at stake.
            return dispute.amount, disputed.account_id
        case PayVat() | UndoVat():
            return await vat_payments.weigh(work, act), None
        case SetAside():
            await transactions.get(work, act.transaction_id)
            return ZERO, None
        case _:
            return (await transactions.get(work, act.transaction_id)).amount, None


async def _buys(work: UnitOfWork, act: Cash | Assign, amount: Money) -> None:
    """Refuse what would buy nothing: a household of which nobody needs a year, less than a gift costs."""
    transfer = await transfers.current(work, act.account_id, act.purpose)
    if act.purpose == "dues" and amount < await organisations.least_of(work, act.account_id):
        raise Invalid(
            "That is less than an organisation pays for a year.",
            field="amount" if isinstance(act, Cash) else "what",
        )
    if act.purpose == "gift":
        price = Money((await transfers.law_of(work, transfer)).document.price)
        if amount < price:
            raise Invalid(
                "That is less than a gift costs.", field="amount" if isinstance(act, Cash) else "what"
            )
    if act.purpose == "household" and transfer is None:
        household = await households.of(work, act.account_id)
        pays = household is not None and household.payer_id == act.account_id
        if not pays or not await household_dues.able(work, act.account_id):
            raise Invalid("That member pays for no household of which somebody needs a year.", field="handle")


def _positive(minor: int) -> Money:
    if minor <= 0:
        raise Invalid("Write an amount of more than nothing.", field="amount")
    return Money(minor)


def _subject(act: Act) -> str:
    match act:
        case Cash():
            return ""
        case GiveBack() | UndoVat():
            return str(act.payment_id)
        case PayVat():
            return f"{act.period}: {act.reference}"[:200]
        case SettleDispute():
            return act.dispute_id[:200]
        case _:
            return str(act.transaction_id)
