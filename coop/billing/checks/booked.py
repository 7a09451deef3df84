"""What of our own tables must stand in the journal: which entry books a row, and what it moves on which ledger account."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import InstrumentedAttribute

from coop.billing import vat_payments
from coop.billing.disputes import Dispute
from coop.billing.household_dues import HouseholdYear
from coop.billing.instalment_plans import InstalmentPlan
from coop.billing.payments import ARRIVES_AT, Payment
from coop.billing.refunds import Refund
from coop.billing.vat_payments import VatPayment
from coop.ledger import (
    DEFERRED_DUES,
    DISPUTED,
    GIFTS_OUTSTANDING,
    INSTALMENTS_DUE,
    MEMBER_CREDIT,
    RESERVED,
    STRIPE_PENDING,
    VAT_PAYABLE,
    JournalEntry,
)
from coop.membership.terms import Term
from coop.sponsorship.gifts import Gift
from coop.sponsorship.places import Place
from coop.sponsorship.pool import Reservation
from coop.unit_of_work import UnitOfWork

_PLAIN = BigInteger()
Words = ColumnElement[str] | InstrumentedAttribute[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """Rows that have an entry: `rows` selects what names each, its external id, the ledger account and the sum it debits."""

    what: str
    source: str
    rows: Select[Any]


def spelled(work: UnitOfWork, column: ColumnElement[Any] | InstrumentedAttribute[Any]) -> ColumnElement[str]:
    """Return a UUID as external ids spell it; SQLite keeps it as hexadecimal digits alone."""
    if work.session.get_bind().dialect.name != "sqlite":
        return cast(column, Text)
    digits = type_coerce(column, String)
    parts = [
        func.substr(digits, start, length) for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    ]
    whole: ColumnElement[str] = parts[0]
    for part in parts[1:]:
        whole = whole.concat("-").concat(part)
    return whole


def _row(named: Words, external_id: Words, account: Words | str, amount: ColumnElement[Any]) -> Select[Any]:
    return select(
        named.label("named"),
        external_id.label("external_id"),
        (literal(account, String) if isinstance(account, str) else account).label("account"),
        amount.label("amount"),
    )


def money_rules(work: UnitOfWork) -> list[Booked]:
    """Return what payments, refunds, disputes, the pool and gifts must have in the journal."""
    arrives = case(*((Payment.method == method, account) for method, account in ARRIVES_AT.items()))
    refund, gift, paid = spelled(work, Refund.id), spelled(work, Gift.id), spelled(work, VatPayment.id)
    return [
        Booked(
            what="payment",
            source="payment",
            rows=_row(Payment.gateway_id, Payment.gateway_id, arrives, minor(Payment.amount)),
        ),
        Booked(
            what="settled payment",
            source="stripe",
            rows=_row(
                Payment.gateway_id, cast(Payment.settlement, String), STRIPE_PENDING, -minor(Payment.amount)
            ).where(Payment.method == "card", Payment.settlement.is_not(None)),
        ),
        Booked(
            what="refund",
            source="refund",
            rows=_row(refund, cast(Refund.gateway_id, String), MEMBER_CREDIT, minor(Refund.amount)).where(
                Refund.state.in_(("sent", "failed")), Refund.gateway_id.is_not(None)
            ),
        ),
        Booked(
            what="refund by hand",
            source="refund",
            rows=_row(refund, literal("hand:").concat(refund), MEMBER_CREDIT, minor(Refund.amount)).where(
                Refund.state == "sent", Refund.gateway_id.is_(None)
            ),
        ),
        Booked(
            what="failed refund",
            source="refund",
            rows=_row(
                refund,
                literal("failed:").concat(Refund.gateway_id),
                MEMBER_CREDIT,
                -minor(Refund.amount),
            ).where(Refund.state == "failed", Refund.gateway_id.is_not(None)),
        ),
        Booked(
            what="dispute",
            source="dispute",
            rows=_row(Dispute.id, literal("opened:").concat(Dispute.id), DISPUTED, minor(Dispute.amount)),
        ),
        Booked(
            what="closed dispute",
            source="dispute",
            rows=_row(
                Dispute.id, Dispute.state.concat(":").concat(Dispute.id), DISPUTED, -minor(Dispute.amount)
            ).where(Dispute.state != "open"),
        ),
        Booked(
            what="part of the pool kept as",
            source="pool",
            rows=_row(
                Reservation.key,
                literal("reserve:").concat(Reservation.key),
                RESERVED,
                -minor(Reservation.amount),
            ),
        ),
        Booked(
            what="part of the pool given back from",
            source="pool",
            rows=_row(
                Reservation.key,
                literal("release:").concat(Reservation.key),
                RESERVED,
                minor(Reservation.amount),
            ).where(Reservation.state == "released"),
        ),
        Booked(
            what="payment to the tax office",
            source=vat_payments.SOURCE,
            rows=_row(paid, paid, VAT_PAYABLE, minor(VatPayment.amount)),
        ),
        Booked(
            what="payment to the tax office, undone,",
            source="reversal",
            rows=_row(paid, spelled(work, JournalEntry.id), VAT_PAYABLE, -minor(VatPayment.amount))
            .select_from(VatPayment)
            .join(
                JournalEntry,
                and_(JournalEntry.source == vat_payments.SOURCE, JournalEntry.external_id == paid),
            )
            .where(VatPayment.undone_at.is_not(None)),
        ),
        Booked(
            what="ended gift",
            source="gift",
            rows=_row(gift, Gift.state.concat(":").concat(gift), GIFTS_OUTSTANDING, minor(Gift.amount)).where(
                Gift.state.in_(("returned", "taken_back", "void"))
            ),
        ),
    ]


def year_rules(work: UnitOfWork) -> list[Booked]:
    """Return what years must have in the journal: each is funded in full, whoever paid."""
    term, gift, plan = spelled(work, Term.id), spelled(work, Gift.id), spelled(work, InstalmentPlan.id)
    elsewhere = or_(
        exists().where(Payment.term_id == Place.term_id),
        exists().where(InstalmentPlan.term_id == Place.term_id),
    )
    return [
        Booked(
            what="term",
            source="payment",
            rows=_row(term, Payment.gateway_id, DEFERRED_DUES, -minor(Term.price))
            .select_from(Term)
            .join(Payment, Payment.term_id == Term.id),
        ),
        Booked(
            what="household's payment",
            source="payment",
            rows=_row(
                Payment.gateway_id, Payment.gateway_id, DEFERRED_DUES, -func.sum(minor(HouseholdYear.price))
            )
            .select_from(Payment)
            .join(
                HouseholdYear,
                and_(HouseholdYear.payment_id == Payment.id, HouseholdYear.term_id.is_not(None)),
            )
            .group_by(Payment.gateway_id),
        ),
        Booked(
            what="term by instalments",
            source="instalments",
            rows=_row(term, plan, DEFERRED_DUES, -minor(Term.price))
            .select_from(Term)
            .join(InstalmentPlan, InstalmentPlan.term_id == Term.id),
        ),
        Booked(
            what="instalments",
            source="instalments",
            rows=_row(plan, plan, INSTALMENTS_DUE, minor(InstalmentPlan.due)),
        ),
        Booked(
            what="term from a gift",
            source="gift",
            rows=_row(term, literal("claim:").concat(gift), DEFERRED_DUES, -minor(Term.price))
            .select_from(Term)
            .join(Gift, Gift.term_id == Term.id),
        ),
        Booked(
            what="term from the pool",
            source="place",
            rows=_row(term, cast(Place.id, String), DEFERRED_DUES, -minor(Term.price))
            .select_from(Term)
            .join(Place, Place.term_id == Term.id)
            .where(~elsewhere),
        ),
    ]


def founded(work: UnitOfWork) -> dict[str, list[Select[Any]]]:
    """Return, for each source of entries, the external ids that rows of ours stand behind."""
    refund, gift, plan = spelled(work, Refund.id), spelled(work, Gift.id), spelled(work, InstalmentPlan.id)
    return {
        "payment": [select(Payment.gateway_id)],
        "refund": [
            select(Refund.gateway_id).where(Refund.gateway_id.is_not(None)),
            select(literal("failed:").concat(Refund.gateway_id)).where(Refund.gateway_id.is_not(None)),
            select(literal("hand:").concat(refund)),
            select(literal("intended:").concat(refund)),
        ],
        "dispute": [
            select(literal("opened:").concat(Dispute.id)),
            select(Dispute.state.concat(":").concat(Dispute.id)),
            select(literal("settled:").concat(Dispute.id)).where(Dispute.settled_at.is_not(None)),
        ],
        "pool": [
            select(literal("reserve:").concat(Reservation.key)),
            select(literal("release:").concat(Reservation.key)).where(Reservation.state == "released"),
        ],
        "gift": [
            select(literal("claim:").concat(gift)).where(Gift.state == "claimed"),
            select(Gift.state.concat(":").concat(gift)),
        ],
        "place": [select(cast(Place.id, String)).where(Place.state == "begun")],
        "instalments": [
            select(plan),
            select(literal("default:").concat(plan)),
            select(literal("stop:").concat(plan)).where(InstalmentPlan.state == "ended"),
        ],
        vat_payments.SOURCE: [select(spelled(work, VatPayment.id))],
        "withdrawal": [select(spelled(work, Term.id)).where(Term.ended_early_at.is_not(None))],
    }


def minor(column: InstrumentedAttribute[Any]) -> ColumnElement[int]:
    """Return an amount as a plain number."""
    return type_coerce(column, _PLAIN)
