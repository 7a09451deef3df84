"""What stewards do, and what comes past the processor: bank transfers, cash, refunds and disputes by hand, members of other tools."""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Sequence

from sqlalchemy import select

from coop.billing.desk import acts
from coop.billing.desk.acts import Act
from coop.billing.disputes import Dispute
from coop.billing.importing import carrying
from coop.billing.importing.files import Row
from coop.billing.importing.judging import Options
from coop.billing.offline import matching, transactions, transfers
from coop.billing.offline.statements import Line, Statement
from coop.billing.offline.transfers import Purpose, Transfer
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.clock import local_date
from coop.errors import CoopError
from coop.money import Money
from coop.stewardship import approvals
from tests.soak.world import PEOPLE, World

Credit = tuple[int, int]
"""Which announced transfer a credit at the bank answers, and how many cents more or less come than were announced."""


async def announce_transfer(world: World, *, who: int, cents: int, purpose: Purpose) -> None:
    """Say that one will pay by bank transfer, and get its reference."""
    with contextlib.suppress(CoopError):
        async with world.units.open() as work:
            await transfers.announce(work, world.people[who], Money(cents), purpose=purpose)


async def read_statement(world: World, *, credits: Sequence[Credit], twice: bool) -> None:  # noqa: A002 - a bank's word
    """Bring a bank statement in, perhaps with credits that it brought before, perhaps two at once."""
    async with world.units.read() as work:
        announced = list(
            await work.session.scalars(select(Transfer).order_by(Transfer.asked_at, Transfer.id))
        )
        today = local_date(work.now, work.settings.zone)
    lines = []
    for number, (which, more) in enumerate(credits):
        # What nobody announced comes as well.
        transfer = announced[which % len(announced)] if announced and which else None
        amount = max(1, (2500 if transfer is None else transfer.amount.minor) + more)
        text = "a present" if transfer is None else transfer.reference
        key = f"{text}:{amount}:{today if transfer is None else ''}"
        lines.append(
            Line(
                line=number,
                key=key,
                content=key,
                booked_on=today,
                amount=Money(amount),
                text=text,
                payer="Somebody",
                account="",
            )
        )
    statement = Statement(lines=list({line.key: line for line in lines}.values()))
    with contextlib.suppress(CoopError):
        for _ in range(2 if twice else 1):
            await matching.bring_in(world.units, statement)


async def take_cash(world: World, *, who: int, cents: int, purpose: Purpose) -> None:
    """Propose to book cash; a second treasurer has to look into the till."""
    await _decide(world, acts.Cash(account_id=world.people[who], amount=cents, purpose=purpose))


async def give_back(world: World, *, which: int, cents: int) -> None:
    """Give a part of somebody's payment back; large sums wait for a second treasurer."""
    async with world.units.read() as work:
        paid = list(await work.session.scalars(select(Payment.id).order_by(Payment.received_at, Payment.id)))
    if paid:
        await _decide(world, acts.GiveBack(payment_id=paid[which % len(paid)], amount=cents))


async def settle_lost_dispute(world: World, *, which: int, cents: int) -> None:
    """Settle a lost dispute that its member made good, or forgive it."""
    async with world.units.read() as work:
        lost = list(
            await work.session.scalars(select(Dispute).where(Dispute.state == "lost").order_by(Dispute.id))
        )
    if lost:
        one = lost[which % len(lost)]
        await _decide(world, acts.SettleDispute(dispute_id=one.id, received=min(cents, one.amount.minor)))


async def judge_credit(world: World, *, which: int, who: int, fate: str) -> None:
    """Say whose a credit is that answers no transfer, or that it is nobody's."""
    async with world.units.read() as work:
        loose = [one.id for one in await transactions.unmatched(work)]
    if not loose:
        return
    one = loose[which % len(loose)]
    act: Act
    match fate:
        case "dues" | "household" | "gift":
            act = acts.Assign(transaction_id=one, account_id=world.people[who], purpose=fate)
        case "give":
            act = acts.GiveToPool(transaction_id=one)
        case _:
            act = acts.SendBack(transaction_id=one)
    await _decide(world, act)


async def approve(world: World, *, which: int, same: bool) -> None:
    """Approve what a treasurer proposed, or try to approve one's own."""
    async with world.units.read() as work:
        waiting = list(await approvals.waiting(work))
    if waiting:
        proposal = waiting[which % len(waiting)]
        others = [one for one in world.treasurers if (one == proposal.proposed_by) == same]
        with contextlib.suppress(CoopError):
            async with world.units.open() as work:
                await acts.approve(work, proposal.id, by=others[0])


async def send_by_hand(world: World, *, which: int) -> None:
    """Send back what the bank or the till has to give: credits, and refunds of what never was on a card."""
    async with world.units.read() as work:
        credits_ = [(acts.sent, one.id) for one in await transactions.returning(work)]
        owed = await work.session.scalars(
            select(Refund.id)
            .join(Payment, Payment.id == Refund.payment_id)
            .where(Refund.state == "intended", Payment.method != "card")
            .order_by(Refund.intended_at, Refund.id)
        )
        due = credits_ + [(acts.paid_out, one) for one in owed]
    if due:
        verb, name = due[which % len(due)]
        with contextlib.suppress(CoopError):
            async with world.units.open() as work:
                await verb(work, name, by=world.treasurers[0])


async def import_members(world: World, *, members: Sequence[int], days: int) -> None:
    """Take members of another tool over, some of whom have accounts here; the same file may come again."""
    async with world.units.read() as work:
        until = local_date(work.now, work.settings.zone) + dt.timedelta(days=days)

    async def rows() -> AsyncIterator[Row]:
        for number, member in enumerate(sorted(set(members))):
            name = PEOPLE[member] if member < len(PEOPLE) else f"stranger{member}"
            yield Row(line=number, external_id=name, email=f"{name}@example.org", paid_until=until)

    with contextlib.suppress(CoopError):
        await carrying.carry(world.units, rows(), Options(source="list", apply=True))


async def _decide(world: World, act: Act) -> None:
    with contextlib.suppress(CoopError):
        async with world.units.open() as work:
            await acts.decide(work, act, by=world.treasurers[0], reason="As the member asked")
