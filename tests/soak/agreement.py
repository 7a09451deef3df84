"""What must hold of a life: of the books at any moment, and between books, terms, entitlements and processor once all is quiet."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select

from api.sandbox.problems import Doc
from coop import ledger
from coop.billing import checks
from coop.billing.disputes import Dispute
from coop.billing.intents import Checkout
from coop.billing.offline.transactions import BankTransaction
from coop.billing.offline.transfers import Transfer
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.billing.subscriptions import ENDED, Subscription
from coop.database import Base
from coop.ledger import EntryPosting, JournalEntry
from coop.ledger import checks as journal_checks
from coop.membership import entitlements
from coop.membership.terms import Member, Term
from coop.money import ZERO
from coop.sponsorship.gifts import Gift
from coop.sponsorship.places import Place
from coop.sponsorship.pool import Reservation
from coop.unit_of_work import UnitOfWork
from tests.soak import absence
from tests.soak.world import FOUNDERS, World

T = TypeVar("T", bound=Base)
DISPUTE_OPEN = {"needs_response", "under_review"}


async def whole(world: World, *, thoroughly: bool = False) -> None:
    """Assert what must hold of the books at any moment, whatever has just happened; or, `thoroughly`, of all that they are about."""
    async with world.units.snapshot() as work:
        report = await (checks.run(work) if thoroughly else journal_checks.run(work))
    assert report.ok, [check for check in report.checks if not check.ok]
    assert report.sums.get("Liabilities:Pool", 0) >= 0


async def agreed(world: World) -> None:
    """Assert that nobody knows anything that another one does not, once everything has come to rest."""
    await whole(world, thoroughly=True)
    async with world.units.snapshot() as work:
        facts = await _facts(world, work)
        wrong = [
            *_payments(facts),
            *_refunds(facts),
            *_disputes(facts),
            *_balance(facts),
            *_at_hand(facts),
            *_use(facts),
            *_pool(facts),
            *_renewals(facts),
            *await _standing(facts, work),
            *await absence.gone(world, work),
        ]
    assert not wrong, "\n".join(wrong)


@dataclass(kw_only=True)
class Facts:
    """Everything that either side knows."""

    now: datetime
    sums: dict[ledger.LedgerAccount, int]
    entries: dict[UUID, list[EntryPosting]]
    journal: list[JournalEntry]
    payments: list[Payment]
    refunds: list[Refund]
    disputes: list[Dispute]
    checkouts: list[Checkout]
    terms: list[Term]
    credits: list[BankTransaction]
    settled: list[EntryPosting]
    """What came to the bank for disputes that were lost."""
    members: list[Member]
    places: list[Place]
    reservations: list[Reservation]
    gifts: list[Gift]
    transfers: list[Transfer]
    subscriptions: list[Subscription]
    people: list[UUID]
    intents: dict[str, Doc]
    pages: dict[str, Doc]
    transactions: list[Doc]
    given_back: dict[str, Doc]
    disputed: dict[str, Doc]
    renewing: dict[str, Doc]

    def balance(self, name: ledger.LedgerAccount) -> int:
        """Return a balance, positive on the side on which it grows."""
        return self.sums.get(name, 0)


async def _facts(world: World, work: UnitOfWork) -> Facts:
    async def all_of(model: type[T]) -> list[T]:
        return list(await work.session.scalars(select(model)))

    sums = await ledger.trial_balance(work)
    entries: dict[UUID, list[EntryPosting]] = defaultdict(list)
    for posting in await all_of(EntryPosting):
        entries[posting.entry_id].append(posting)
    journal = await all_of(JournalEntry)
    return Facts(
        now=work.now,
        sums={name: ledger.natural(name, amount).minor for name, amount in sums.items()},
        entries=entries,
        journal=journal,
        payments=await all_of(Payment),
        refunds=await all_of(Refund),
        disputes=await all_of(Dispute),
        checkouts=await all_of(Checkout),
        terms=await all_of(Term),
        credits=await all_of(BankTransaction),
        settled=[
            posting
            for entry in journal
            if entry.source == "dispute" and entry.external_id.startswith("settled:")
            for posting in entries[entry.id]
            if posting.account != ledger.BANK
        ],
        members=await all_of(Member),
        places=await all_of(Place),
        reservations=await all_of(Reservation),
        gifts=await all_of(Gift),
        transfers=await all_of(Transfer),
        subscriptions=await all_of(Subscription),
        people=world.people,
        intents={one["id"]: one for one in await world.known("payment_intent")},
        pages={one["id"]: one for one in await world.known("checkout.session")},
        transactions=await world.known("balance_transaction"),
        given_back={one["id"]: one for one in await world.known("refund")},
        disputed={one["id"]: one for one in await world.known("dispute")},
        renewing={one["id"]: one for one in await world.known("subscription")},
    )


def _payments(facts: Facts) -> Iterator[str]:
    """Every payment that the processor took is booked once, with its amount, and no other."""
    taken = {
        name: one["amount_received"] for name, one in facts.intents.items() if one["status"] == "succeeded"
    }
    booked = Counter(payment.gateway_id for payment in facts.payments if payment.method == "card")
    # Whoever had a year otherwise, while their bank took its days, needs nothing kept: what they paid goes back.
    offered = {place.id for place in facts.places if place.state == "offered" or place.ended_as == "needless"}
    for name, amount in taken.items():
        if booked[name] != 1:
            yield f"payment {name} of {amount} is booked {booked[name]} times"
    for payment in facts.payments:
        if payment.method == "card" and taken.get(payment.gateway_id) != payment.amount.minor:
            yield f"payment {payment.gateway_id} is booked as {payment.amount}, the processor took {taken.get(payment.gateway_id)}"
    for one in facts.checkouts:
        if one.state not in {"intended", "open"}:
            continue
        page = facts.pages.get(one.gateway_id or "", {})
        # A bank debit takes days after the page is complete.
        if one.expires_at <= facts.now and (page.get("status"), page.get("payment_status")) != (
            "complete",
            "unpaid",
        ):
            yield f"checkout {one.id} is still {one.state}"
        if one.place_id is not None and one.place_id not in offered:
            ended = [place.ended_as for place in facts.places if place.id == one.place_id]
            yield f"checkout {one.id} is {page.get('status')}, but what the pool kept for it is gone: {ended}"


def _refunds(facts: Facts) -> Iterator[str]:
    """What the processor gave back is what we say, for each payment and in sum."""
    theirs: Counter[str] = Counter()
    for one in facts.given_back.values():
        if one["status"] not in {"failed", "canceled"}:
            theirs[one["payment_intent"]] += one["amount"]
    for payment in facts.payments:
        if payment.method != "card":
            continue
        waits = sum(
            one.amount.minor
            for one in facts.refunds
            if one.payment_id == payment.id and one.state == "intended"
        )
        if theirs[payment.gateway_id] + waits != payment.refunded.minor:
            yield (
                f"of payment {payment.gateway_id} the processor gave back {theirs[payment.gateway_id]}, "
                f"we say {payment.refunded}, of which {waits} waits"
            )
        if payment.refunded > payment.amount:
            yield f"payment {payment.gateway_id} is given back beyond its amount"


def _disputes(facts: Facts) -> Iterator[str]:
    """Every dispute is booked as far as it has come."""
    ours = {one.id: one for one in facts.disputes}
    for name, one in facts.disputed.items():
        state = "open" if one["status"] in DISPUTE_OPEN else one["status"]
        if name not in ours:
            yield f"dispute {name} is not booked"
        elif (ours[name].state, ours[name].amount.minor) != (state, one["amount"]):
            yield f"dispute {name} is {state} of {one['amount']}; we say {ours[name]}"
    for name in ours.keys() - facts.disputed.keys():
        yield f"dispute {name} is ours alone"
    held = sum(one.amount.minor for one in facts.disputes if one.state == "open")
    if held != facts.balance(ledger.DISPUTED):
        yield f"{held} is in dispute, {facts.balance(ledger.DISPUTED)} is booked"


def _balance(facts: Facts) -> Iterator[str]:
    """The account Stripe is the sum of what Stripe says is net, to the cent, and nothing is pending."""
    net = sum(one["net"] for one in facts.transactions)
    if net != facts.balance(ledger.STRIPE):
        yield f"Stripe's net is {net}, the books say {facts.balance(ledger.STRIPE)}"
    if facts.balance(ledger.STRIPE_PENDING):
        yield f"{facts.balance(ledger.STRIPE_PENDING)} is still pending"


def _at_hand(facts: Facts) -> Iterator[str]:
    """What is in the bank and in the till is what came there, less what was sent back by hand."""
    bank = FOUNDERS + sum(
        one.amount.minor for one in facts.credits if one.state in {"matched", "given", "returning"}
    )
    bank += sum(-posting.amount.minor for posting in facts.settled)
    methods = {payment.id: payment.method for payment in facts.payments}
    back: Counter[str] = Counter()
    for one in facts.refunds:
        if one.state == "sent":
            back[methods[one.payment_id]] += one.amount.minor
    cash = sum(payment.amount.minor for payment in facts.payments if payment.method == "cash")
    for name, wanted in ((ledger.BANK, bank - back["bank"]), (ledger.CASH, cash - back["cash"])):
        if facts.balance(name) != wanted:
            yield f"{name} should hold {wanted}, the books say {facts.balance(name)}"


def _use(facts: Facts) -> Iterator[str]:
    """Every payment for dues has one year, waits for one, or went back."""
    used = Counter(payment.term_id for payment in facts.payments if payment.term_id is not None)
    for term_id, times in used.items():
        if times > 1:
            yield f"term {term_id} was paid {times} times"
    waits = {one.payment_id for one in facts.places if one.state in {"queued", "awarded", "begun"}}
    for payment in facts.payments:
        loose = payment.purpose == "dues" and payment.term_id is None and payment.refunded < payment.amount
        if loose and payment.disputed == ZERO and payment.id not in waits:
            yield f"payment {payment.gateway_id} of {payment.account_id} has no year, waits for none and did not go back"


def _pool(facts: Facts) -> Iterator[str]:
    """What is kept is kept for an open place; gifts that wait are owed; nobody who waits was charged."""
    held = {one.key: one.amount for one in facts.reservations if one.state == "held"}
    kept = {one.key for one in facts.places if one.state in {"offered", "awarded"}}
    kept |= {
        f"household:{one.id}"
        for one in facts.checkouts
        if one.purpose == "household" and one.state in {"intended", "open"} and one.amount < one.price
    }
    kept |= {
        f"household:{one.id}"
        for one in facts.transfers
        if one.purpose == "household" and one.state == "open" and one.amount < one.price
    }
    if set(held) != kept:
        yield f"kept {sorted(held)}, for the places {sorted(kept)}"
    total = sum(amount.minor for amount in held.values())
    if total != facts.balance(ledger.RESERVED):
        yield f"{total} is kept, the books say {facts.balance(ledger.RESERVED)}"
    waiting = sum(one.amount.minor for one in facts.gifts if one.state in {"waiting", "kept", "frozen"})
    if waiting != facts.balance(ledger.GIFTS_OUTSTANDING):
        yield f"gifts of {waiting} wait, the books say {facts.balance(ledger.GIFTS_OUTSTANDING)}"
    if facts.balance(ledger.POOL) < 0:
        yield "the pool is overspent"


def _renewals(facts: Facts) -> Iterator[str]:
    """A renewal that was stopped is stopped at the processor; each one that lives is known."""
    ours = {one.id: one for one in facts.subscriptions}
    for name, one in facts.renewing.items():
        if name not in ours:
            if one["status"] in {"active", "past_due"}:
                yield f"renewal {name} is {one['status']}, and unknown to us"
            continue
        row = ours[name]
        stops = one["cancel_at_period_end"] or one["cancel_at"] is not None
        if row.status != one["status"]:
            yield f"renewal {name} is {one['status']}, we say {row.status}"
        if one["status"] not in ENDED:
            goes_on = one["pause_collection"] is None if row.wish == "pause" else not stops
            if row.wish != "renew" and goes_on:
                yield f"renewal {name} was to {row.wish}, and the processor goes on"
            charges = one["items"]["data"][0]["price"]["unit_amount"]
            if row.wish == "renew" and charges != row.amount.minor:
                yield f"renewal {name} charges {charges}, we say {row.amount}"
        if row.wish == "stop_now" and one["status"] not in ENDED:
            yield f"renewal {name} was to end at once, and is {one['status']}"


async def _standing(facts: Facts, work: UnitOfWork) -> Iterator[str]:
    """What networks are told follows from the terms."""
    told = await entitlements.of_many(work, facts.people)
    active = {one.account_id: one.active for one in facts.members}
    wrong = []
    for account_id in set(facts.people) - await absence.erased(work):
        terms = [one for one in facts.terms if one.account_id == account_id and not one.void]
        covered = any(one.begins <= work.now < one.last_instant for one in terms)
        if (told[account_id].membership == "active") != covered:
            wrong.append(f"{account_id} is told {told[account_id].membership}, covered: {covered}")
        if active.get(account_id, False) != covered:
            wrong.append(f"{account_id} was announced as {active.get(account_id)}, covered: {covered}")
    return iter(wrong)
