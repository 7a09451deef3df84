"""The paid year: a newcomer's first year, paid at once and in full, from one look to one guarded write.

Most payments of a growing cooperative are such: nobody's place, no surplus and no earlier year plays a part. What the
general way (`checkout.apply`) writes for one is known from the look and from the payment alone, so that it is drawn up
here and put down together; docs/decisions/0041 says why, and a test holds every table of both ways side by side.
Whatever is not as simple goes the general way, and so does a case that has changed between look and write.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

import structlog
from sqlalchemy.exc import DBAPIError

from coop import ledger, outbox
from coop.billing import booking, payments, receipt_letters
from coop.billing.cards import Customer
from coop.billing.gateway import CheckoutState, Notice, PaymentState
from coop.billing.intents import Checkout
from coop.billing.payments import Payment
from coop.billing.seen import NEWCOMER, Seen, StripeEvent
from coop.billing.subscriptions import Subscription, first
from coop.clock import local_date
from coop.database import Base, Row
from coop.guarded import Case, GuardedWrite
from coop.ledger import DEFERRED_DUES, EntryPosting, JournalEntry
from coop.ledger.references import PersonReference
from coop.mail import keyed
from coop.membership import terms, vat
from coop.membership.events import TermBegan
from coop.membership.terms import Member, Term
from coop.membership.vat import Begun, VatLine
from coop.money import Money
from coop.outbox import OutboxMessage
from coop.policies import Dues
from coop.policies.documents import read
from coop.prepared import Line
from coop.unit_of_work import Units, new_id

log = structlog.get_logger("coop.stripe")

WRITE = GuardedWrite(
    Checkout,
    # What the look has found must still hold when it is written.
    still=(Checkout.state != "paid") & NEWCOMER,
    changes=("state", "gateway_id", "ended_at"),
    inserts=(
        StripeEvent,
        PersonReference,
        Customer,
        Subscription,
        EntryPosting,
        # After its postings, which its trigger counts.
        JournalEntry,
        Member,
        Term,
        Payment,
        VatLine,
        OutboxMessage,
    ),
)


class Paid(NamedTuple):
    """An event about a paid checkout, and all that is known for it."""

    notice: Notice
    seen: Seen
    checkout: CheckoutState
    payment: PaymentState


async def write(units: Units, paid: Sequence[Paid]) -> list[bool]:
    """Begin the years that were paid for, and tell of each whether that is committed; the others go the general way."""
    try:
        async with units.line() as line:
            cases = [drawn_up(line, one) for one in paid]
            async with units.writing(line) as writing:
                written = await WRITE.write(writing, [case for case in cases if case is not None])
    except DBAPIError as error:
        # Somebody was quicker with a key of one of them, or the connection broke: the general way finds out.
        log.info("paid_years_elsewhere", count=len(paid), error=type(error.orig).__name__)
        return [False] * len(paid)
    return [case is not None and case.key in written for case in cases]


def page_of(checkout: str, payment: PaymentState) -> CheckoutState:
    """Return how a hosted page ended that asked for one payment, from that payment, which has succeeded."""
    return CheckoutState(
        id=checkout,
        operation=payment.operation,
        status="complete",
        paid=True,
        amount=payment.amount,
        currency=payment.currency,
        payment=payment.id,
    )


def may_be(seen: Seen) -> bool:
    """Tell whether a checkout, once it is paid, begins a year as simply as this module knows it."""
    return (
        seen.newcomer
        and seen.purpose == "dues"
        and seen.state != "paid"
        and not seen.instalments
        and seen.place_id is None
        and seen.amount is not None
        and seen.amount == seen.price
    )


def drawn_up(line: Line, paid_for: Paid) -> Case | None:
    """Return what a paid checkout writes, or nothing if it has to go the general way."""
    notice, seen, checkout, payment = paid_for
    if not may_be(seen) or checkout.operation != seen.checkout or not (checkout.paid and payment.succeeded):
        return None
    if seen.checkout is None or seen.account_id is None or seen.policy_version is None or seen.price is None:
        return None
    dues = _law(seen.law)
    if Money(dues.price) != seen.price:
        return None
    if payment.amount != seen.price or payment.currency != line.settings.currency:
        return None
    zone, account_id = line.settings.zone, seen.account_id
    day = local_date(line.now, zone)
    rate = line.settings.vat_rate(day)
    reference = seen.reference or new_id()
    year = terms.first_year(account_id, dues, seen.policy_version, now=line.now, zone=zone, vat_rate=rate)
    paid = payments.row(
        payment,
        account_id=account_id,
        purpose=seen.purpose,
        price=seen.price,
        policy_version=seen.policy_version,
        received_at=line.now,
        subscription=checkout.subscription,
    )
    paid["term_id"] = year["id"]
    rows: list[tuple[type[Base], Row]] = [
        (
            StripeEvent,
            {
                "id": notice.id,
                "type": notice.type,
                "object_id": notice.object_id,
                "received_at": line.wall,
            },
        ),
        (
            Member,
            {
                "account_id": account_id,
                "first_day": year["first_day"],
                "active": True,
                "covered_until": year["grace_until"],
            },
        ),
        (Term, year),
        (Payment, paid),
    ]
    if seen.reference is None:
        rows.append((PersonReference, {"reference": reference, "account_id": account_id}))
    if checkout.customer is not None and seen.customer is None:
        rows.append((Customer, {"account_id": account_id, "gateway_id": checkout.customer}))
    if checkout.subscription is not None:
        begun = first(checkout.subscription, account_id=account_id, amount=payment.amount, begun_at=line.now)
        rows.append((Subscription, begun))
    _book(
        rows,
        ledger.drawn_up(
            source="payment",
            external_id=payment.id,
            description=booking.DUES,
            postings=[
                ledger.debit(payments.ARRIVES_AT["card"], payment.amount),
                ledger.credit(DEFERRED_DUES, payment.amount),
            ],
            date=day,
            recorded_at=line.now,
            policy_version=seen.policy_version,
            person=reference,
        ),
    )
    taxed = Begun(
        year["id"], seen.price, rate, seen.policy_version, {paid["id"]: payment.amount}, person=account_id
    )
    tax = vat.drawn_up(taxed, date=day, recorded_at=line.now, reference=reference)
    if tax is not None:
        _book(rows, tax[:2])
        rows += [(VatLine, each) for each in tax[2]]
    rows += _told(line, seen, year, paid, taxes=() if tax is None else vat.divided(taxed))
    if payment.settlement is not None:
        paid["settlement"], paid["fee"] = payment.settlement.id, payment.settlement.fee
        _book(
            rows,
            ledger.drawn_up(
                source="stripe",
                external_id=payment.settlement.id,
                description=payments.SETTLED_AS,
                postings=payments.settled(payment.amount, payment.settlement),
                date=day,
                recorded_at=line.now,
            ),
        )
    return Case(seen.checkout, {"state": "paid", "gateway_id": checkout.id, "ended_at": line.now}, rows)


def _told(
    line: Line, seen: Seen, year: Row, paid: Row, *, taxes: Sequence[vat.Part]
) -> list[tuple[type[Base], Row]]:
    """Return what the other rooms and the payer hear of it."""
    settings, account_id = line.settings, year["account_id"]
    began = TermBegan(account_id=account_id, term_id=year["id"])
    messages = [
        outbox.row(began, due_at=line.wall),
        outbox.row(terms.announced(account_id, year["ends"], settings.zone), due_at=line.wall),
    ]
    if seen.email is not None:
        last_day = local_date(year["ends"], settings.zone) - timedelta(days=1)
        letter, key = receipt_letters.written(
            settings,
            Payment(**paid),
            seen.email,
            seen.locale,
            receipt_letters.A_YEAR,
            more=receipt_letters.runs_until(last_day),
            taxes=taxes,
        )
        messages.append(outbox.row(keyed(letter), due_at=line.wall, dedupe_key=key))
    return [(OutboxMessage, each) for each in messages]


def _book(rows: list[tuple[type[Base], Row]], drawn: tuple[Row, list[Row]]) -> None:
    entry, postings = drawn
    rows += [(EntryPosting, each) for each in postings]
    rows.append((JournalEntry, entry))


@lru_cache(maxsize=8)
def _law(document: str) -> Dues:
    """Read the dues under which somebody pays; there are few, and they never change."""
    law = read(document)
    if not isinstance(law, Dues):
        msg = "a checkout names a law that is no dues"
        raise TypeError(msg)
    return law
