"""Terms of many members at once: what `terms` does for one, in as many statements."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import aliased

from coop import bulk
from coop.clock import local_date
from coop.membership.events import MembershipActivated, TermBegan
from coop.membership.months import last_of_month
from coop.membership.terms import Member, Term
from coop.membership.years import Last, Year, following
from coop.money import Money
from coop.policies import Dues, Version
from coop.unit_of_work import UnitOfWork, new_id


class Past(msgspec.Struct, frozen=True):
    """What an account has had so far."""

    terms: int = 0
    last: Last | None = None


class Grant(msgspec.Struct, frozen=True):
    """A year to be granted to an account."""

    account_id: UUID
    past: Past
    dues: Version[Dues]


class Granted(msgspec.Struct, frozen=True):
    """A year that was."""

    account_id: UUID
    term_id: UUID
    year: Year
    vat_rate: int


async def pasts(work: UnitOfWork, account_ids: Collection[UUID]) -> dict[UUID, Past]:
    """Return what each of many accounts has had; an account without any term is left out."""
    lived = aliased(Term)
    newest = (
        select(func.max(lived.ordinal))
        .where(
            lived.account_id == Term.account_id,
            or_(lived.ended_early_at.is_(None), lived.ended_early_at > lived.begins),
        )
        .scalar_subquery()
    )
    rows = await bulk.read(
        work.session,
        select(
            Term.account_id,
            Term.ordinal,
            Term.first_day,
            Term.year,
            Term.begins,
            Term.ends,
            Term.grace_until,
            Term.ended_early_at,
        )
        # The newest that was lived, and those after it that were given back before they began.
        .where(
            bulk.among(work.session, Term.account_id, account_ids), Term.ordinal >= func.coalesce(newest, 1)
        )
        .order_by(Term.ordinal),
    )
    found: dict[UUID, Past] = {}
    for account_id, ordinal, first_day, year, begins, ends, grace_until, ended_early_at in rows:
        void = ended_early_at is not None and ended_early_at <= begins
        last = (
            found.get(account_id, Past()).last
            if void
            else Last(first_day, year, begins, ends, grace_until, ended_early_at)
        )
        found[account_id] = Past(ordinal, last)
    return found


async def begin(work: UnitOfWork, grants: Sequence[Grant]) -> list[Granted]:
    """Grant years to as many accounts, or none of them; the database refuses what another unit was quicker to grant.

    Its refusal, and `AlreadyRenewed`, are the caller's to catch: it grants them one by one then.
    """
    zone = work.settings.zone
    vat_rate = work.settings.vat_rate(local_date(work.now, zone))
    granted, rows = [], []
    for grant in grants:
        dues = grant.dues.document
        year = following(grant.past.last, now=work.now, zone=zone, grace_days=dues.grace_days)
        one = Granted(grant.account_id, new_id(), year, vat_rate)
        granted.append(one)
        rows.append(
            (
                *(one.term_id, one.account_id, grant.past.terms + 1, year.first_day, year.year),
                *(year.begins, year.ends, year.grace_until, Money(dues.price), grant.dues.id),
                *(vat_rate, None),
            )
        )
    await bulk.insert(work.session, Term, _COLUMNS, rows)
    await work.publish_all(TermBegan(account_id=one.account_id, term_id=one.term_id) for one in granted)
    await _activate(work, granted)
    return granted


_COLUMNS = (
    *("id", "account_id", "ordinal", "first_day", "year"),
    *("begins", "ends", "grace_until", "price", "policy_version", "vat_rate", "ended_early_at"),
)


async def _activate(work: UnitOfWork, granted: Sequence[Granted]) -> None:
    await bulk.insert(
        work.session,
        Member,
        ("account_id", "first_day", "active", "covered_until"),
        # Always in the same order, so that two units never wait for each other's second row.
        [
            (one.account_id, one.year.first_day, False, one.year.grace_until)
            for one in sorted(granted, key=lambda one: one.account_id.int)
        ],
        on_conflict="ON CONFLICT (account_id) DO UPDATE SET covered_until = excluded.covered_until",
    )
    accounts = bulk.among(work.session, Member.account_id, [one.account_id for one in granted])
    activated = set(
        await work.session.scalars(
            update(Member)
            .where(accounts, Member.active.is_(False))
            .values(active=True)
            .returning(Member.account_id)
            .execution_options(synchronize_session=False)
        )
    )
    await work.publish_all(
        MembershipActivated(
            account_id=one.account_id, until=last_of_month(one.year.after - timedelta(days=1))
        )
        for one in granted
        if one.account_id in activated
    )
