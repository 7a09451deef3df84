"""Matching: credits of the bank find the transfer that announced them, by the reference, and begin what they are for.

The reference says whose money it is, the amount what it buys. More than the price goes to the pool; less takes what the
pool kept for exactly that, else it waits as credit at the head of the queue (billing.md, "pay what you can"). What comes for
a household is divided by `household_sums`; less than the price buys no gift, and a person looks.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy import select

from coop import policies
from coop.billing import booking, payments
from coop.billing.gateway import PaymentState
from coop.billing.offline import household_sums, references, transactions, transfers
from coop.billing.offline.statements import Line, Statement
from coop.billing.offline.transactions import BankTransaction, Why
from coop.billing.offline.transfers import Transfer
from coop.billing.payments import Method, Payment
from coop.identity.accounts import Account
from coop.membership import obstacles, organisations
from coop.membership.obstacles import DisputeOpen
from coop.money import ZERO, Money
from coop.policies import Dues, Pool
from coop.sponsorship import limits, places
from coop.sponsorship.places import Place
from coop.unit_of_work import UnitOfWork, Units, new_id

BATCH = 50

Fit = Literal["exact", "over", "under"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which transfer a credit answers, and how the amounts compare; or why it answers none."""

    transfer: Transfer | None
    fit: Fit | None = None
    why: Why | None = None


@dataclass(slots=True, kw_only=True)
class Report:
    """What an import did, or would do."""

    statement: Statement
    known: int = 0
    """Lines that an earlier import brought."""
    conflicts: list[int] = field(default_factory=list)
    """Lines under an identifier of the bank that says something else than before."""
    verdicts: list[tuple[Line, Verdict]] = field(default_factory=list)
    """What is new, and how it was judged."""

    def count(self) -> Counter[str]:
        """Return how many new lines there are of each fit and of each reason."""
        return Counter(verdict.fit or verdict.why or "" for _, verdict in self.verdicts)


async def rehearse(units: Units, statement: Statement) -> Report:
    """Say what an import would do; nothing is changed."""
    async with units.snapshot() as work:
        report, fresh = await _sifted(work, statement)
        found = await transfers.by_references(
            work, [one for line in fresh for one in references.found_in(line.text)]
        )
        for line in fresh:
            report.verdicts.append((line, await judge(work, line.text, line.amount, found)))
    return report


async def bring_in(units: Units, statement: Statement) -> Report:
    """Keep what is new of a statement and match it; a second run, or one after a crash, adds what is missing."""
    async with units.open() as work:
        report, fresh = await _sifted(work, statement)
        kept = [(line, await transactions.keep(work, line)) for line in fresh]
    for line, transaction_id in kept:
        if transaction_id is None:
            report.known += 1
        else:
            report.verdicts.append((line, await match(units, transaction_id)))
    await match_due(units)
    return report


async def match_due(units: Units) -> int:
    """Match the credits that an import left behind when it was cut short, each in a unit of its own (a job)."""
    async with units.read() as look:
        due = list(
            await look.session.scalars(
                select(BankTransaction.id)
                .where(BankTransaction.state == "new")
                .order_by(BankTransaction.booked_on, BankTransaction.id)
                .limit(BATCH)
            )
        )
    for transaction_id in due:
        await match(units, transaction_id)
    return len(due)


async def match(units: Units, transaction_id: UUID) -> Verdict:
    """Match one credit, or put it on the steward's desk."""
    async with units.open() as work:
        # The queue before any row of ours, so that no two units wait for each other.
        await places.lock(work)
        transaction = await work.session.get_one(BankTransaction, transaction_id, populate_existing=True)
        found = await transfers.by_references(work, references.found_in(transaction.text))
        verdict = await judge(work, transaction.text, transaction.amount, found)
        if transaction.state != "new":
            return verdict
        if verdict.transfer is None or verdict.fit is None:
            await transactions.move(work, transaction, "unmatched", since="new", why=verdict.why)
            return verdict
        payment = await receive(
            work,
            account_id=verdict.transfer.account_id,
            amount=transaction.amount,
            purpose=verdict.transfer.purpose,
            method="bank",
            external_id=f"bank:{transaction.id}",
            transfer=verdict.transfer,
        )
        await transactions.move(work, transaction, "matched", since="new", payment_id=payment.id)
        return verdict


async def judge(work: UnitOfWork, text: str, amount: Money, found: dict[str, Transfer]) -> Verdict:
    """Say which transfer a credit answers; `found` are the transfers behind the references that it names."""
    wanted = references.found_in(text)
    named = [found[reference] for reference in wanted if reference in found]
    if not named:
        return Verdict(None, why="unknown_reference" if wanted else "no_reference")
    if len(named) > 1:
        return Verdict(None, why="several_references")
    transfer = named[0]
    why = await _hindrance(work, transfer, amount)
    return Verdict(transfer, why=why) if why else Verdict(transfer, _fit(transfer, amount))


async def receive(
    work: UnitOfWork,
    *,
    account_id: UUID,
    amount: Money,
    purpose: str,
    method: Method,
    external_id: str,
    transfer: Transfer | None = None,
) -> Payment:
    """Book money that was seen, and begin what it is for; the caller makes sure that it is done once."""
    await places.lock(work)
    counts = transfer is not None and await transfers.take_up(work, transfer)
    dues = await transfers.law_of(work, transfer if counts else None)
    state = PaymentState(
        id=external_id,
        charge=None,
        succeeded=True,
        failed=False,
        amount=amount,
        currency=work.settings.currency,
        refunded=ZERO,
    )
    if purpose == "household":
        await household_sums.book(
            work,
            state,
            payer_id=account_id,
            transfer=transfer,
            counts=counts,
            dues=dues,
            method=method,
        )
    else:
        place_id = transfer.place_id if transfer is not None and counts else None
        price = Money(dues.document.price)
        if place_id is not None and (purpose != "dues" or not await _covers(work, place_id, price - amount)):
            # Another sum came than the one for which the pool kept its part.
            await places.close(work, await work.session.get_one(Place, place_id), "replaced")
            place_id = None
        await booking.book(
            work,
            state,
            account_id=account_id,
            purpose=purpose,
            dues=dues,
            place_id=place_id,
            subscription=None,
            operation=new_id(),
            method=method,
        )
    payment = await payments.of_gateway(work, external_id)
    if payment is None:
        msg = f"{external_id} was booked, but is not there"
        raise LookupError(msg)
    return payment


async def _hindrance(work: UnitOfWork, transfer: Transfer, amount: Money) -> Why | None:
    """Return why a person has to look at this first."""
    account = await work.session.get_one(Account, transfer.account_id)
    if account.erased_at is not None or account.locked_at is not None:
        return "account_closed"
    if transfer.purpose == "sponsor":
        return None
    if transfer.purpose == "gift":
        return await _too_little_for_a_gift(work, transfer, amount)
    try:
        await obstacles.none_before(work, transfer.account_id)
    except DisputeOpen:
        return "dispute_open"
    if transfer.purpose == "household":
        counts = transfer.state == "open"
        division = await household_sums.divide(work, account.id, amount, transfer, counts=counts)
        return "household_short" if division.short else None
    return await _too_little_for_a_year(work, account, transfer, amount)


async def _too_little_for_a_gift(work: UnitOfWork, transfer: Transfer, amount: Money) -> Why | None:
    law = await transfers.law_of(work, transfer if transfer.state == "open" else None)
    return None if amount >= Money(law.document.price) else "gift_short"


async def _too_little_for_a_year(
    work: UnitOfWork, account: Account, transfer: Transfer, amount: Money
) -> Why | None:
    if amount < await organisations.least_of(work, account.id):
        # The pool adds nothing to what an organisation pays, whoever it said it was when it announced the transfer.
        return "too_small"
    if amount >= min(transfer.amount, transfer.price):
        return None
    # Less than was announced: the pool was never asked for that much, so its own rules are asked here.
    if amount < Money((await policies.in_force(work, Dues)).document.minimum_card):
        return "too_small"
    first = await limits.newcomer(work, account.id)
    law = (await policies.in_force(work, Pool)).document
    return "needs_email" if first and law.verified_email and account.email_verified_at is None else None


def _fit(transfer: Transfer, amount: Money) -> Fit:
    if amount == transfer.amount:
        return "exact"
    return "over" if amount > transfer.amount else "under"


async def _covers(work: UnitOfWork, place_id: int, gap: Money) -> bool:
    """Tell whether a place is still offered, for just this gap."""
    place = await work.session.get_one(Place, place_id, populate_existing=True)
    if place.state != "offered" or place.policy_version is None:
        return False
    dues = await places.dues_of(work, place.policy_version)
    return Money(dues.document.price) - place.contribution == gap


async def _sifted(work: UnitOfWork, statement: Statement) -> tuple[Report, list[Line]]:
    """Part what is new from what an earlier import brought."""
    report = Report(statement=statement)
    before = await transactions.known(work, statement.lines)
    fresh = []
    for line in statement.lines:
        if line.key not in before:
            fresh.append(line)
        elif before[line.key] == line.content:
            report.known += 1
        else:
            report.conflicts.append(line.line)
    return report, fresh
