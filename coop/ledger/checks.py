"""What must hold of the books at any moment; `coop books check` prints this report."""

import datetime as dt
from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, and_, case, func, or_, select, type_coerce

from coop.clock import local_date
from coop.ledger import chart, sealer
from coop.ledger.balances import LedgerBalance, natural, trial_balance
from coop.ledger.chart import LedgerAccount
from coop.ledger.entries import EntryPosting, JournalEntry
from coop.money import Money
from coop.unit_of_work import UnitOfWork

_MONEY = (chart.STRIPE, chart.STRIPE_PENDING, chart.BANK, chart.CASH)
_OWED = (
    chart.POOL,
    chart.RESERVED,
    chart.GIFTS_OUTSTANDING,
    chart.MEMBER_CREDIT,
    chart.VAT_PAYABLE,
)
_PAGE = 500
WITHDRAWAL_DAYS = 14
"""The least that the law of dues may say."""
# As plain numbers: the sums of whole books may exceed what one amount of money may be.
_MINOR = type_coerce(EntryPosting.amount, BigInteger)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str


class Cover(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the money at hand covers what belongs to others, in minor units.

    Operations bears all fees, so while it has earned less than it spent, the difference is an advance that it owes.
    """

    money: int
    """Stripe, pending, bank and cash."""
    owed: int
    """Pool, reserved, gifts, credit, networks, VAT, and dues that may still be withdrawn."""
    refundable: int
    """The last of these alone."""
    advanced: int
    """What operations has spent beyond what it has earned."""


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The hash chain over the journal."""

    length: int
    lag: int
    """How many entries wait to be sealed."""
    head: str | None
    """The hash that fixes everything sealed so far."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the books; all amounts in minor units of `currency`."""

    ok: bool
    currency: str
    entries: int
    postings: int
    debits: int
    credits: int
    sums: dict[str, int]
    """The balance of each ledger account, positive on the side on which it grows."""
    cover: Cover
    chain: Chain
    checks: tuple[Check, ...]


async def run(work: UnitOfWork, *, withdrawal_days: int = WITHDRAWAL_DAYS) -> Report:
    """Check the books; give it a snapshot, so that all sums are of one moment.

    `withdrawal_days` is how long a new year can be given back, as the dues in force say.
    """
    debits_credits = (
        await work.session.execute(
            select(
                func.count(),
                func.coalesce(func.sum(case((_MINOR > 0, _MINOR))), 0),
                func.coalesce(func.sum(case((_MINOR < 0, _MINOR))), 0),
            ).select_from(EntryPosting)
        )
    ).one()
    postings, debits, credits_ = (int(value) for value in debits_credits)
    sums = await trial_balance(work)
    balances = {name: natural(name, amount).minor for name, amount in sums.items()}
    cover = await _cover(work, balances, withdrawal_days)
    checks = (
        Check(
            name="trial_balance",
            ok=debits == -credits_,
            detail=f"debits {debits}, credits {-credits_}",
        ),
        await _entries_balance(work),
        await _balance_rows(work, balances),
        _known_accounts(sums),
        _nothing_overdrawn(balances),
        await _policy_named(work),
        Check(
            name="cover",
            ok=cover.money + cover.advanced >= cover.owed,
            detail=f"money {cover.money}, advanced by operations {cover.advanced}, owed {cover.owed}",
        ),
        await _chain_holds(work),
    )
    head = await sealer.head(work)
    return Report(
        ok=all(check.ok for check in checks),
        currency=work.settings.money.code,
        entries=await work.session.scalar(select(func.count()).select_from(JournalEntry)) or 0,
        postings=postings,
        debits=debits,
        credits=-credits_,
        sums={str(name): amount for name, amount in balances.items()},
        cover=cover,
        chain=Chain(
            length=head[0] if head else 0, lag=await sealer.lag(work), head=head[1] if head else None
        ),
        checks=checks,
    )


def schema() -> bytes:
    """Return the JSON Schema of the report, as docs/schemas keeps it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Report), order="sorted"), indent=2)


async def _entries_balance(work: UnitOfWork) -> Check:
    sized = (
        select(JournalEntry.id)
        .outerjoin(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
        .group_by(JournalEntry.id, JournalEntry.size)
        .having(
            or_(
                func.count(EntryPosting.position) != JournalEntry.size,
                func.coalesce(func.sum(_MINOR), 0) != 0,
            )
        )
        .subquery()
    )
    crooked = await work.session.scalar(select(func.count()).select_from(sized)) or 0
    return Check(
        name="entries_balance", ok=not crooked, detail=f"{crooked} entries do not balance or lack postings"
    )


async def _balance_rows(work: UnitOfWork, balances: dict[LedgerAccount, int]) -> Check:
    rows = {
        account: amount.minor
        for account, amount in await work.session.execute(select(LedgerBalance.account, LedgerBalance.amount))
    }
    apart = [name for name in chart.GUARDED if rows.get(name) != balances.get(name, 0)]
    return Check(
        name="balance_rows",
        ok=not apart,
        detail="; ".join(f"{n}: row {rows.get(n)}, postings {balances.get(n, 0)}" for n in apart)
        or "the pool's rows equal its postings",
    )


def _known_accounts(sums: dict[LedgerAccount, Money]) -> Check:
    unknown = []
    for name in sums:
        try:
            chart.known(name)
        except chart.BadLedgerAccount:
            unknown.append(name)
    return Check(
        name="known_accounts", ok=not unknown, detail=", ".join(unknown) or "all names are in the chart"
    )


def _nothing_overdrawn(balances: dict[LedgerAccount, int]) -> Check:
    below = [
        f"{name} {amount}"
        for name, amount in balances.items()
        if amount < 0 and (name.startswith("Liabilities:") or name in {chart.DISPUTED, chart.STRIPE_PENDING})
    ]
    return Check(
        name="nothing_overdrawn", ok=not below, detail=", ".join(below) or "nothing owed is below zero"
    )


async def _policy_named(work: UnitOfWork) -> Check:
    nameless = (
        await work.session.scalar(
            select(func.count(func.distinct(JournalEntry.id)))
            .join(EntryPosting, EntryPosting.entry_id == JournalEntry.id)
            .where(JournalEntry.policy_version.is_(None), EntryPosting.account == chart.DEFERRED_DUES)
        )
        or 0
    )
    return Check(
        name="policy_named", ok=not nameless, detail=f"{nameless} movements of dues name no policy version"
    )


async def _cover(work: UnitOfWork, balances: dict[LedgerAccount, int], days: int) -> Cover:
    def of(names: Sequence[str]) -> int:
        return sum(amount for name, amount in balances.items() if name in names)

    def under(root: str) -> int:
        return sum(amount for name, amount in balances.items() if name.startswith(root))

    # Dues that are still to come by instalments are not with us, and are not given back.
    deferred = balances.get(chart.DEFERRED_DUES, 0) - balances.get(chart.INSTALMENTS_DUE, 0)
    refundable = await _refundable(work, deferred, days)
    return Cover(
        money=of(_MONEY),
        owed=of(_OWED) + under("Liabilities:Networks:") + refundable,
        refundable=refundable,
        advanced=max(0, under("Expenses:") - under("Income:")),
    )


async def _refundable(work: UnitOfWork, deferred: int, days: int) -> int:
    """Return the dues granted within the days of withdrawal, as far as they are paid and still deferred."""
    since = local_date(work.now, work.settings.zone) - dt.timedelta(days=days)
    granted = await work.session.scalar(
        select(func.coalesce(func.sum(_MINOR), 0))
        .join(JournalEntry, JournalEntry.id == EntryPosting.entry_id)
        .where(
            EntryPosting.account == chart.DEFERRED_DUES,
            _MINOR < 0,
            JournalEntry.date > since,
            # What was bought elsewhere, before these books, cannot be given back here.
            JournalEntry.source != chart.OPENING,
        )
    )
    return max(0, min(deferred, -int(granted or 0)))


async def _chain_holds(work: UnitOfWork) -> Check:
    seq, previous = 0, sealer.GENESIS
    while True:
        rows = (
            await work.session.execute(
                select(sealer.Seal, JournalEntry)
                .join(JournalEntry, and_(JournalEntry.id == sealer.Seal.entry))
                .where(sealer.Seal.seq > seq)
                .order_by(sealer.Seal.seq)
                .limit(_PAGE)
            )
        ).all()
        lines = await sealer.postings_by_entry(work, [entry.id for _, entry in rows])
        for seal, entry in rows:
            if seal.seq != seq + 1 or seal.hash != sealer.link(previous, entry, lines.get(entry.id, [])):
                return Check(name="chain", ok=False, detail=f"link {seq + 1} does not fit what it seals")
            seq, previous = seal.seq, seal.hash
            # A long journal must not fill the memory.
            work.session.expunge(seal)
            work.session.expunge(entry)
        if len(rows) < _PAGE:
            return Check(name="chain", ok=True, detail=f"{seq} links hold")
