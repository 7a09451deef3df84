"""What a payment says went back or is disputed is what its refunds and disputes say."""

from sqlalchemy import ColumnElement, func, or_, select

from coop.billing.checks.booked import minor
from coop.billing.disputes import Dispute
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.ledger.checks.report import MOST_FINDINGS, Check, Finding, check, plain
from coop.unit_of_work import UnitOfWork


async def payments_agree(work: UnitOfWork) -> Check:
    """Each payment's refunds and disputes add up to what stands beside it, and never exceed it."""
    back = _sum_of(
        select(func.sum(minor(Refund.amount)))
        .where(Refund.payment_id == Payment.id, Refund.state.in_(("intended", "sent")))
        .scalar_subquery()
    )
    disputed = _sum_of(
        select(func.sum(minor(Dispute.amount)))
        .where(Dispute.payment_id == Payment.id, Dispute.state.in_(("open", "lost")))
        .scalar_subquery()
    )
    differing = or_(
        minor(Payment.refunded) != back,
        minor(Payment.disputed) != disputed,
        back > minor(Payment.amount),
        disputed > minor(Payment.amount),
    )
    rows = (await work.session.execute(select(Payment, back, disputed).where(differing))).all()
    findings = [
        Finding(
            where=f"payment {payment.gateway_id} of {plain(work.settings, payment.amount.minor)}",
            expected=f"given back {plain(work.settings, int(sent))}, disputed {plain(work.settings, int(held))}, as its refunds "
            "and disputes say, and neither beyond its amount",
            found=f"given back {plain(work.settings, payment.refunded.minor)}, disputed {plain(work.settings, payment.disputed.minor)}",
            remedy="Look the charge up at the processor, and restore the refund, the dispute or the payment that differs from it",
        )
        for payment, sent, held in rows[:MOST_FINDINGS]
    ]
    return check(
        "payments_agree",
        findings,
        more=len(rows) - len(findings),
        holds="refunds and disputes add up to what payments say",
    )


def _sum_of(amounts: ColumnElement[int]) -> ColumnElement[int]:
    return func.coalesce(amounts, 0)
