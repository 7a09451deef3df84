"""What waits on the steward's desk, counted and listed; nobody is named here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select

from coop import ledger
from coop.billing.disputes import Dispute
from coop.billing.offline import transactions
from coop.billing.offline.transactions import BankTransaction
from coop.billing.payments import Method, Payment
from coop.billing.refunds import Refund
from coop.errors import Invalid, NotFound
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.money import Money
from coop.stewardship import approvals, audit, roles
from coop.stewardship.approvals import Proposal
from coop.unit_of_work import UnitOfWork

MAY_LOOK: tuple[roles.RoleName, ...] = ("steward", "treasurer")


class NoSuchProposal(NotFound):
    """There is no such proposal, or it was decided already."""

    code = "no_such_proposal"


class NobodyOfThatName(NotFound):
    """Nobody has that handle; write it just as they do."""

    code = "nobody_of_that_name"


class BadReference(Invalid):
    """A reference in the books is 32 letters and digits with hyphens between; copy it whole."""

    code = "bad_person_reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """How much of each kind waits."""

    proposals: int
    unmatched: int
    to_send: int
    refunds: int
    disputes: int

    @property
    def empty(self) -> bool:
        """Whether nothing waits for anybody."""
        return not (self.proposals or self.unmatched or self.to_send or self.refunds or self.disputes)


@dataclass(frozen=True, slots=True)
class ToSend:
    """Money that somebody has to send, or hand over."""

    id: UUID
    amount: Money
    method: Method
    since: datetime
    payer: str
    """To whom, as the bank called them; empty where the member has to be asked."""
    payer_account: str
    refund: bool = False


async def count(work: UnitOfWork) -> Desk:
    """Count what waits, in one statement."""
    refund = select(func.count()).select_from(Refund).join(Payment, Payment.id == Refund.payment_id)
    proposals, unmatched, returning, by_hand, refunds, disputes = (
        await work.session.execute(
            select(
                select(func.count())
                .where(Proposal.state == "open", Proposal.lapses_at > work.now)
                .scalar_subquery(),
                select(func.count()).where(BankTransaction.state == "unmatched").scalar_subquery(),
                select(func.count()).where(BankTransaction.state == "returning").scalar_subquery(),
                refund.where(Refund.state == "intended", Payment.method != "card").scalar_subquery(),
                refund.where(
                    Payment.method == "card", Refund.state.in_(("intended", "failed"))
                ).scalar_subquery(),
                select(func.count()).where(_disputed()).scalar_subquery(),
            )
        )
    ).one()
    return Desk(
        proposals=proposals,
        unmatched=unmatched,
        to_send=returning + by_hand,
        refunds=refunds,
        disputes=disputes,
    )


async def to_send(work: UnitOfWork) -> list[ToSend]:
    """Return what has to be sent by hand: credits that go back, and refunds of transfers and of cash."""
    back = [
        ToSend(one.id, one.amount, "bank", one.decided_at or one.imported_at, one.payer, one.payer_account)
        for one in await transactions.returning(work)
    ]
    rows = await work.session.execute(
        select(Refund, Payment.method, BankTransaction.payer, BankTransaction.payer_account)
        .join(Payment, Payment.id == Refund.payment_id)
        .outerjoin(BankTransaction, BankTransaction.payment_id == Payment.id)
        .where(Refund.state == "intended", Payment.method != "card")
        .order_by(Refund.intended_at, Refund.id)
        .limit(transactions.PAGE)
    )
    return back + [
        ToSend(refund.id, refund.amount, method, refund.intended_at, payer or "", account or "", refund=True)
        for refund, method, payer, account in rows
    ]


async def refunds(work: UnitOfWork) -> Sequence[Refund]:
    """Return refunds to cards that are on their way or came back, the oldest first."""
    found = (
        select(Refund)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Payment.method == "card", Refund.state.in_(("intended", "failed")))
        .order_by(Refund.intended_at, Refund.id)
        .limit(transactions.PAGE)
    )
    return (await work.session.scalars(found)).all()


async def disputes(work: UnitOfWork) -> Sequence[Dispute]:
    """Return disputes that are open, or lost and not settled yet, the oldest first."""
    found = select(Dispute).where(_disputed()).order_by(Dispute.opened_at, Dispute.id)
    return (await work.session.scalars(found.limit(transactions.PAGE))).all()


async def proposal(work: UnitOfWork, proposal_id: UUID) -> Proposal:
    """Return a proposal that waits for a second person."""
    found = await work.session.get(Proposal, proposal_id)
    if found is None or found.state != "open" or found.lapses_at <= work.now:
        raise NoSuchProposal
    return found


async def proposals(work: UnitOfWork) -> Sequence[Proposal]:
    """Return the proposals that wait, the oldest first."""
    return await approvals.waiting(work)


async def look_up(work: UnitOfWork, handle: str, *, by: UUID, reason: str) -> Account:
    """Open one person's record; the look, its reason and whose it was stand on that person's own page."""
    await roles.require(work, by, *MAY_LOOK)
    account = await accounts.by_handle(work, handle.strip())
    if account is None or account.erased_at is not None:
        raise NobodyOfThatName(field="handle")
    await audit.record(work, act="member.looked_up", reason=reason, actor=by, about=account.id)
    return account


async def whose(work: UnitOfWork, reference: str, *, by: UUID, reason: str) -> Account | None:
    """Tell a treasurer whom the entries under a random reference concern, if they are still there; that person reads of it."""
    await roles.require(work, by, "treasurer")
    reason = audit.checked(reason)
    try:
        wanted = UUID(reference.strip())
    except ValueError as error:
        raise BadReference(field="reference") from error
    account_id = await ledger.references.resolve(work, wanted, by=by, reason=reason)
    return None if account_id is None else await work.session.get(Account, account_id)


def _disputed() -> ColumnElement[bool]:
    return or_(Dispute.state == "open", and_(Dispute.state == "lost", Dispute.settled_at.is_(None)))
