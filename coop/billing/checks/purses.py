"""What is owed is what the rows say that stand behind it: the pool's kept parts, gifts, instalments, pending payments, members' credit."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, String, cast, exists, func, literal, select, type_coerce

from coop.billing.checks.booked import minor, spelled
from coop.billing.instalment_plans import InstalmentPlan
from coop.billing.intents import Checkout
from coop.billing.offline.transfers import Transfer
from coop.billing.payments import Payment
from coop.ledger import (
    GIFTS_OUTSTANDING,
    INSTALMENTS_DUE,
    MEMBER_CREDIT,
    RESERVED,
    STRIPE_PENDING,
    EntryPosting,
    JournalEntry,
    LedgerAccount,
    chart,
)
from coop.ledger.checks.report import MOST_FINDINGS, Check, Finding, check, plain
from coop.sponsorship.gifts import Gift
from coop.sponsorship.places import Place
from coop.sponsorship.pool import Reservation
from coop.unit_of_work import UnitOfWork

_MINOR = type_coerce(EntryPosting.amount, BigInteger)


@dataclass(frozen=True, slots=True)
class _Purse:
    account: LedgerAccount
    rows: int
    what: str


async def purses_agree(work: UnitOfWork) -> Check:
    """Kept parts of the pool, gifts, instalments to come and pending payments add up to their ledger accounts."""
    findings = []
    for purse in await _purses(work):
        moved = await work.session.scalar(
            select(func.coalesce(func.sum(_MINOR), 0)).where(EntryPosting.account == purse.account)
        )
        found = int(moved or 0) * (1 if chart.grows_by_debit(purse.account) else -1)
        if found != purse.rows:
            findings.append(
                Finding(
                    where=str(purse.account),
                    expected=f"{plain(work.settings, purse.rows)}, the sum of {purse.what}",
                    found=plain(work.settings, found),
                    remedy="rows_booked and entries_founded name the row or entry if one was changed or lost; an entry made by hand is "
                    "to be reversed (two treasurers)",
                )
            )
    findings += await _idle_reservations(work)
    return check(
        "purses_agree",
        findings,
        holds="kept parts, gifts, instalments and pending payments equal their accounts",
    )


async def nobody_owes_credit(work: UnitOfWork) -> Check:
    """Nobody was given back more than lay with us as theirs."""
    sums = (
        select(JournalEntry.person, func.sum(_MINOR).label("moved"))
        .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .where(EntryPosting.account == MEMBER_CREDIT, JournalEntry.person.is_not(None))
        .group_by(JournalEntry.person)
        .having(func.sum(_MINOR) > 0)
    )
    rows = (await work.session.execute(sums)).all()
    findings = [
        Finding(
            where=f"{MEMBER_CREDIT} of person {person}",
            expected=f"at least {plain(work.settings, 0)}",
            found=plain(work.settings, -int(moved)),
            remedy="More went back to this person than they had brought. See their entries in `coop books export --format csv`, and "
            "who it is, with a reason, on the treasurer's desk",
        )
        for person, moved in rows[:MOST_FINDINGS]
    ]
    return check(
        "nobody_owes_credit",
        findings,
        more=len(rows) - len(findings),
        holds="nobody's credit is below zero",
    )


async def _purses(work: UnitOfWork) -> list[_Purse]:
    session = work.session
    kept = await session.scalar(
        select(func.sum(minor(Reservation.amount))).where(Reservation.state == "held")
    )
    gifts = await session.scalar(
        select(func.sum(minor(Gift.amount))).where(Gift.state.in_(("waiting", "kept", "frozen")))
    )
    plans = await session.scalars(select(InstalmentPlan).where(InstalmentPlan.state == "running"))
    pending = await session.scalar(
        select(func.sum(minor(Payment.amount))).where(Payment.method == "card", Payment.settlement.is_(None))
    )
    return [
        _Purse(RESERVED, int(kept or 0), "what the pool keeps for places and households"),
        _Purse(GIFTS_OUTSTANDING, int(gifts or 0), "the gifts that nobody has begun"),
        _Purse(
            INSTALMENTS_DUE,
            sum(plan.outstanding.minor for plan in plans),
            "the instalments that are still to come",
        ),
        _Purse(STRIPE_PENDING, int(pending or 0), "the payments that the processor has not booked yet"),
    ]


async def _idle_reservations(work: UnitOfWork) -> list[Finding]:
    """Return what the pool keeps for nobody."""
    idle = (
        select(Reservation)
        .where(
            Reservation.state == "held",
            ~exists().where(
                Place.state.in_(("offered", "awarded")),
                Reservation.key == literal("place:", String).concat(cast(Place.id, String)),
            ),
            ~exists().where(
                Checkout.state.in_(("intended", "open")),
                Reservation.key == literal("household:", String).concat(spelled(work, Checkout.id)),
            ),
            ~exists().where(
                Transfer.state == "open",
                Reservation.key == literal("household:", String).concat(spelled(work, Transfer.id)),
            ),
        )
        .limit(MOST_FINDINGS)
    )
    return [
        Finding(
            where=f"part of the pool kept as {one.key}",
            expected="an open place, or a household's open payment page or bank transfer, that it is kept for",
            found=f"none; {plain(work.settings, one.amount.minor)} is kept for nobody",
            remedy="Restore the place, page or transfer from a backup, so that its end gives the money back to the pool",
        )
        for one in await work.session.scalars(idle)
    ]
