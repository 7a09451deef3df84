"""What billing holds about a person: what they paid, what they were given back, and what the card processor is told.

Rows of money outlive the account: the books must be whole, and nothing in them names anybody.
"""

from uuid import UUID

from sqlalchemy import CompoundSelect, Select, or_, select, union

from coop.billing.cards import CardVisit, Customer
from coop.billing.disputes import Dispute
from coop.billing.household_dues import HouseholdYear
from coop.billing.importing.held import ImportedMembership
from coop.billing.instalment_plans import InstalmentPlan
from coop.billing.intents import Checkout
from coop.billing.offline.transactions import BankTransaction
from coop.billing.offline.transfers import Transfer
from coop.billing.operations import Operation
from coop.billing.payments import Payment
from coop.billing.receipts import Receipt
from coop.billing.reconciliation.differences import Difference
from coop.billing.refunds import Refund
from coop.billing.seen import StripeEvent
from coop.billing.subscriptions import Subscription
from coop.membership.terms import Term
from coop.membership.vat import VatLine
from coop.personal import Held, Person, Registered

_BOOKS = "the books need it, and it names nobody any more"


def _payments(person: Person) -> Select[UUID]:
    return select(Payment.id).where(Payment.account_id == person.account_id)


def _objects(person: Person) -> CompoundSelect[str]:
    """Return what the processor calls everything of a person's."""
    own = person.account_id
    return union(
        select(Payment.gateway_id).where(Payment.account_id == own),
        select(Subscription.id).where(Subscription.account_id == own),
        select(Checkout.gateway_id).where(Checkout.account_id == own, Checkout.gateway_id.is_not(None)),
        select(Refund.gateway_id).where(
            Refund.payment_id.in_(_payments(person)), Refund.gateway_id.is_not(None)
        ),
        select(Dispute.id).where(Dispute.payment_id.in_(_payments(person))),
        select(Customer.gateway_id).where(Customer.account_id == own),
    )


HELD: Registered = (
    Held(
        table=Checkout,
        of=lambda person: Checkout.account_id == person.account_id,
        stays=_BOOKS,
        withheld={"key": "inner"},
    ),
    Held(table=Payment, of=lambda person: Payment.account_id == person.account_id, stays=_BOOKS),
    Held(table=Refund, of=lambda person: Refund.payment_id.in_(_payments(person)), stays=_BOOKS),
    Held(table=Receipt, of=lambda person: Receipt.payment_id.in_(_payments(person)), stays=_BOOKS),
    Held(table=Dispute, of=lambda person: Dispute.payment_id.in_(_payments(person)), stays=_BOOKS),
    Held(
        table=Subscription,
        of=lambda person: Subscription.account_id == person.account_id,
        stays="what has ended at the processor must be known again when it speaks of it late",
    ),
    Held(
        table=InstalmentPlan, of=lambda person: InstalmentPlan.account_id == person.account_id, stays=_BOOKS
    ),
    Held(
        table=HouseholdYear,
        of=lambda person: HouseholdYear.account_id == person.account_id,
        stays=_BOOKS,
        # They are the payer's.
        withheld={"checkout_id": "other", "transfer_id": "other", "payment_id": "other"},
    ),
    Held(
        table=VatLine,
        of=lambda person: or_(
            # The VAT of a gift arises when its year begins, which is for its receiver alone to know.
            VatLine.payment_id.in_(_payments(person).where(Payment.purpose != "gift")),
            VatLine.term_id.in_(select(Term.id).where(Term.account_id == person.account_id)),
        ),
        stays=_BOOKS,
        # One line may stand between the payment of one person and the year of another.
        withheld={"entry_id": "other", "term_id": "other", "payment_id": "other", "refund_id": "other"},
    ),
    Held(table=Customer, of=lambda person: Customer.account_id == person.account_id),
    Held(
        table=CardVisit,
        of=lambda person: CardVisit.account_id == person.account_id,
        withheld={"key": "inner"},
    ),
    Held(
        table=Operation,
        of=lambda person: Operation.account_id == person.account_id,
        withheld={"key": "inner", "fingerprint": "inner", "lease": "inner", "leased_until": "inner"},
    ),
    Held(
        table=Transfer,
        of=lambda person: Transfer.account_id == person.account_id,
        stays="a transfer that comes late must be known again, to be sent back",
    ),
    Held(
        table=BankTransaction,
        of=lambda person: BankTransaction.payment_id.in_(_payments(person)),
        stays="day and amount; what the bank says of its sender is taken out of the row",
        withheld={"key": "inner", "content": "inner"},
    ),
    Held(
        table=ImportedMembership,
        of=lambda person: ImportedMembership.account_id == person.account_id,
        stays="the books of the year need it; what the other tool called its owner is taken out of the row",
        withheld={"email_digest": "secret"},
    ),
    Held(
        table=StripeEvent,
        of=lambda person: StripeEvent.object_id.in_(_objects(person)),
        stays="what was heard once must not be booked again",
    ),
    Held(
        table=Difference,
        of=lambda person: Difference.object_id.in_(_objects(person)),
        stays=_BOOKS,
    ),
)
