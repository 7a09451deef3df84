"""VAT in dues: when a year begins, the tax in its price leaves Deferred dues, and comes back with what is given back.

Every movement stands in the journal, and beside it, line by line, of which year and whose payment it is: so that nothing
is given back twice, receipts can say what tax was in a payment, and the balance of VAT payable can be held against the years.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, SmallInteger, func, select
from sqlalchemy.orm import Mapped, mapped_column

from coop import bulk, ledger
from coop.database import Base, Row
from coop.ledger import DEFERRED_DUES, VAT_PAYABLE, JournalEntry, LedgerAccount, Posting
from coop.ledger.chart import VAT
from coop.membership.terms import Term
from coop.money import ZERO, Money, in_proportion, vat_within
from coop.unit_of_work import UnitOfWork, new_id

_DESCRIPTION = "VAT in dues"


class VatLine(Base):
    """VAT that arose within some dues, or went back with them (both negative then); never changed or deleted (triggers)."""

    __tablename__ = "vat_lines"
    __table_args__ = (
        CheckConstraint("rate > 0", name="rate"),
        CheckConstraint(
            "(dues > 0 AND vat BETWEEN 0 AND dues) OR (dues < 0 AND vat BETWEEN dues AND 0)", name="within"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("journal_entries.id"), index=True)
    """The entry in which it was booked."""
    rate: Mapped[int] = mapped_column(SmallInteger)
    dues: Mapped[Money]
    vat: Mapped[Money]
    term_id: Mapped[UUID | None] = mapped_column(ForeignKey("terms.id"), index=True, default=None)
    """The year; none for one that still waits for whoever it was taken over for."""
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id"), index=True, default=None)
    """Whose dues they are; none for the pool's part."""
    refund_id: Mapped[UUID | None] = mapped_column(ForeignKey("refunds.id"), index=True, default=None)


class Part(msgspec.Struct, frozen=True):
    """Some dues of one year and one payment, and the VAT in them."""

    term_id: UUID | None
    payment_id: UUID | None
    rate: int
    dues: Money
    vat: Money

    def of(self, dues: Money) -> "Part":
        """Return so much of these dues, and the VAT in it."""
        vat = in_proportion(self.vat, dues.minor, self.dues.minor)
        return Part(self.term_id, self.payment_id, self.rate, dues, vat)


def total(parts: Sequence[Part]) -> Money:
    """Return the VAT in all of them."""
    return sum((part.vat for part in parts), ZERO)


class Begun(msgspec.Struct, frozen=True):
    """A year whose VAT is to be booked."""

    term_id: UUID
    price: Money
    rate: int
    policy_version: UUID
    paid: Mapping[UUID, Money]
    """What each payment brought of its dues; the pool brings the rest."""
    person: UUID
    """The account whose books tell of it."""


def divided(begun: Begun) -> list[Part]:
    """Divide the dues of a year into what payments brought of them and what the pool adds; together they hold its VAT."""
    parts: list[Part] = []
    dues, vat = begun.price, vat_within(begun.price, begun.rate)
    for payment_id, amount in begun.paid.items():
        if amount:
            share = in_proportion(vat, amount.minor, dues.minor)
            parts.append(Part(begun.term_id, payment_id, begun.rate, amount, share))
            dues, vat = dues - amount, vat - share
    return [*parts, Part(begun.term_id, None, begun.rate, dues, vat)] if dues else parts


async def due(work: UnitOfWork, term: Term, *, paid: Mapping[UUID, Money], person: UUID) -> None:
    """Book the VAT of a year that has begun; `paid` says what each payment brought of its dues, the pool brings the rest."""
    begun = Begun(term.id, term.price, term.vat_rate, term.policy_version, paid, person)
    await arise(work, divided(begun), key=str(term.id), policy_version=term.policy_version, person=person)


def drawn_up(
    begun: Begun, *, date: dt.date, recorded_at: dt.datetime, reference: UUID
) -> tuple[Row, list[Row], list[Row]] | None:
    """Return the rows that book the VAT of a year: the entry, its postings and the lines; nothing where it bears none."""
    parts = divided(begun)
    if not total(parts):
        return None
    entry, postings = ledger.drawn_up(
        source=VAT,
        external_id=str(begun.term_id),
        description=_DESCRIPTION,
        postings=_postings(total(parts), DEFERRED_DUES),
        date=date,
        recorded_at=recorded_at,
        policy_version=begun.policy_version,
        person=reference,
    )
    lines = [
        {
            "id": new_id(),
            "entry_id": entry["id"],
            "rate": part.rate,
            "dues": part.dues,
            "vat": part.vat,
            "term_id": part.term_id,
            "payment_id": part.payment_id,
            "refund_id": None,
        }
        for part in parts
        if part.dues
    ]
    return entry, postings, lines


async def due_of_all(work: UnitOfWork, begun: Sequence[Begun]) -> None:
    """Book the VAT of many years in as many statements as of one."""
    taxed = [(one, parts) for one in begun if total(parts := divided(one))]
    if not taxed:
        return
    people = await ledger.references.of_all(work, [one.person for one, _ in taxed])
    drafts = [
        ledger.Draft(
            source=VAT,
            external_id=str(one.term_id),
            description=_DESCRIPTION,
            postings=_postings(total(parts), DEFERRED_DUES),
            policy_version=one.policy_version,
            person=people[one.person],
        )
        for one, parts in taxed
    ]
    await ledger.post_all(work, drafts)
    await bulk.insert(
        work.session,
        VatLine,
        ("id", "entry_id", "rate", "dues", "vat", "term_id", "payment_id"),
        [
            (new_id(), draft.id, part.rate, part.dues, part.vat, part.term_id, part.payment_id)
            for draft, (_, parts) in zip(drafts, taxed, strict=True)
            for part in parts
        ],
    )


async def arise(
    work: UnitOfWork,
    parts: Sequence[Part],
    *,
    key: str,
    policy_version: UUID,
    person: UUID | None,
    out_of: LedgerAccount = DEFERRED_DUES,
) -> None:
    """Book that the VAT in parts of a year's dues is due; `person` is the account whose books tell of it, if any does."""
    vat = total(parts)
    if not vat:
        return
    entry = await ledger.post(
        work,
        source=VAT,
        external_id=key,
        description=_DESCRIPTION,
        postings=_postings(vat, out_of),
        policy_version=policy_version,
        person=None if person is None else await ledger.references.of(work, person),
    )
    await keep(work, entry, parts)


async def keep(work: UnitOfWork, entry: JournalEntry, parts: Sequence[Part]) -> None:
    """Write down the lines of VAT that an entry has booked."""
    work.session.add_all(
        VatLine(
            entry_id=entry.id,
            rate=part.rate,
            dues=part.dues,
            vat=part.vat,
            term_id=part.term_id,
            payment_id=part.payment_id,
        )
        for part in parts
        if part.dues
    )
    await work.session.flush()


async def went_back(
    work: UnitOfWork, entry: JournalEntry, parts: Sequence[Part], refunds: Mapping[UUID, UUID] | None = None
) -> None:
    """Write down the lines of VAT that an entry has given back; `refunds` are those of the payments."""
    work.session.add_all(
        VatLine(
            entry_id=entry.id,
            rate=part.rate,
            dues=-part.dues,
            vat=-part.vat,
            term_id=part.term_id,
            payment_id=part.payment_id,
            refund_id=None if refunds is None or part.payment_id is None else refunds.get(part.payment_id),
        )
        for part in parts
    )
    await work.session.flush()


async def of_term(work: UnitOfWork, term_id: UUID) -> list[Part]:
    """Return what stands of a year's VAT: what arose less what went back, by payment."""
    return await _standing(work, VatLine.term_id == term_id)


async def of_payment(work: UnitOfWork, payment_id: UUID) -> list[Part]:
    """Return what stands of the VAT in a payment, by year."""
    return await _standing(work, VatLine.payment_id == payment_id)


async def in_dues(work: UnitOfWork, payment_id: UUID, dues: Money) -> list[Part]:
    """Return the VAT in so much of the dues that a payment brought, as far as it has not gone back already."""
    parts = []
    for part in await of_payment(work, payment_id):
        some = min(dues, part.dues)
        if some > ZERO:
            parts.append(part.of(some))
            dues -= some
    return parts


async def arisen(work: UnitOfWork, payment_id: UUID) -> list[Part]:
    """Return the VAT that arose in a payment when it was booked, by rate, for its receipt."""
    return await _by_rate(
        work, (VatLine.payment_id == payment_id) & (VatLine.dues > ZERO) & (JournalEntry.source == VAT)
    )


async def returned(work: UnitOfWork, refund_id: UUID) -> list[Part]:
    """Return the VAT that went back with a refund, by rate, for its credit note."""
    return [
        Part(None, None, part.rate, -part.dues, -part.vat)
        for part in await _by_rate(work, VatLine.refund_id == refund_id)
    ]


async def gone(work: UnitOfWork, entry: JournalEntry) -> list[Part]:
    """Return the VAT that went back with an entry."""
    rows = await work.session.scalars(
        select(VatLine).where(VatLine.entry_id == entry.id, VatLine.dues < ZERO).order_by(VatLine.id)
    )
    return [Part(row.term_id, row.payment_id, row.rate, -row.dues, -row.vat) for row in rows]


def _postings(vat: Money, out_of: LedgerAccount) -> list[Posting]:
    return [ledger.debit(out_of, vat), ledger.credit(VAT_PAYABLE, vat)]


async def _standing(work: UnitOfWork, which: ColumnElement[bool]) -> list[Part]:
    rows = await work.session.execute(
        select(
            VatLine.term_id,
            VatLine.payment_id,
            VatLine.rate,
            func.sum(VatLine.dues).label("dues"),
            func.sum(VatLine.vat),
        )
        .where(which)
        .group_by(VatLine.term_id, VatLine.payment_id, VatLine.rate)
        .having(func.sum(VatLine.dues) > ZERO)
        .order_by(VatLine.term_id, VatLine.payment_id)
    )
    return [Part(*row) for row in rows]


async def _by_rate(work: UnitOfWork, which: ColumnElement[bool]) -> list[Part]:
    rows = await work.session.execute(
        select(VatLine.rate, func.sum(VatLine.dues), func.sum(VatLine.vat))
        .join(JournalEntry, JournalEntry.id == VatLine.entry_id)
        .where(which)
        .group_by(VatLine.rate)
        .order_by(VatLine.rate)
    )
    return [Part(None, None, rate, dues, vat) for rate, dues, vat in rows]
