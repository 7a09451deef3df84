"""Places of many members at once: what `places` does for one, in as many statements.

All of a batch is done or nothing; what one of them meets (a year that another unit was quicker to grant, say) is the caller's
to catch, who takes them one by one then.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Select, select, update

from coop import bulk, ledger, policies
from coop.clock import local_date
from coop.identity.accounts import Account
from coop.membership import term_batches, vat
from coop.membership.term_batches import Grant, Granted, Past
from coop.membership.vat import Begun
from coop.money import ZERO, Money
from coop.policies import Dues, Version
from coop.sponsorship import letters, limits, places, pool
from coop.sponsorship.letters import Addressed
from coop.sponsorship.places import OPEN, End, Place
from coop.unit_of_work import UnitOfWork


class Candidate(msgspec.Struct, frozen=True):
    """What has to be known of a place to decide upon it, and to write to its owner."""

    id: int
    account_id: UUID
    contribution: Money
    first: bool
    credited: bool
    payment_id: UUID | None
    policy_version: UUID | None
    email: str | None
    locale: str

    @property
    def key(self) -> str:
        """Under which the pool keeps this place's part."""
        return places.key_of(self.id)


def candidates() -> Select[int, UUID, Money, bool, bool, UUID | None, UUID | None, str | None, str]:
    """Select places as `Candidate` has them, whichever and in whatever order the caller says."""
    return select(
        Place.id,
        Place.account_id,
        Place.contribution,
        Place.first,
        Place.credited,
        Place.payment_id,
        Place.policy_version,
        Account.email,
        Account.locale,
    ).join(Account, Account.id == Place.account_id)


async def begin(work: UnitOfWork, due: Sequence[Candidate]) -> tuple[int, Money]:
    """Begin the years of awarded places; return how many, and what came back to the pool from those not needed any more."""
    pasts = await term_batches.pasts(work, [place.account_id for place in due])
    notice = max((await policies.in_force(work, Dues)).document.notice_days)
    covered = {
        place.id
        for place in due
        if limits.runs_on(pasts.get(place.account_id, Past()).last, work.now + timedelta(days=notice))
    }
    # A year was paid for, or given, while these waited for their moment.
    freed = (
        await close(work, [place for place in due if place.id in covered], "needless") if covered else ZERO
    )
    wanted = [place for place in due if place.id not in covered]
    if not wanted:
        return 0, freed
    gaps = await pool.spend_all(work, [place.key for place in wanted])
    laws = {version: await places.dues_of(work, version) for version in {_law(place) for place in wanted}}
    await _book(work, wanted, gaps, laws)
    granted = await term_batches.begin(
        work,
        [Grant(place.account_id, pasts.get(place.account_id, Past()), laws[_law(place)]) for place in wanted],
    )
    await vat.due_of_all(
        work,
        [
            Begun(
                year.term_id,
                Money(laws[_law(place)].document.price),
                year.vat_rate,
                _law(place),
                {place.payment_id: place.contribution} if place.credited and place.payment_id else {},
                place.account_id,
            )
            for place, year in zip(wanted, granted, strict=True)
        ],
    )
    begun = await bulk.update(
        work.session,
        Place,
        "id",
        ("state", "term_id"),
        [(place.id, "begun", year.term_id) for place, year in zip(wanted, granted, strict=True)],
        where={"state": "awarded"},
    )
    if begun != len(wanted):
        msg = f"{len(wanted) - begun} of {len(wanted)} places were not awarded any more"
        raise LookupError(msg)
    await _tell(work, wanted, granted)
    return begun, freed


async def close(work: UnitOfWork, closing: Sequence[Candidate], why: End) -> Money:
    """End requests that have not begun, and return what had been kept for them, which is the pool's again."""
    closed = await work.session.scalars(
        update(Place)
        .where(bulk.among(work.session, Place.id, [place.id for place in closing]), Place.state.in_(OPEN))
        .values(state="closed", ended_as=why, ended_at=work.now, held_until=None)
        .returning(Place.id)
        .execution_options(synchronize_session=False)
    )
    return await pool.release_all(work, [places.key_of(place_id) for place_id in closed])


def _law(place: Candidate) -> UUID:
    if place.policy_version is None:
        msg = f"place {place.id} was awarded under no dues"
        raise LookupError(msg)
    return place.policy_version


async def _book(
    work: UnitOfWork,
    wanted: Sequence[Candidate],
    gaps: dict[str, Money],
    laws: dict[UUID, Version[Dues]],
) -> None:
    people = await ledger.references.of_all(work, [place.account_id for place in wanted])
    drafts = []
    for place in wanted:
        gap = gaps.get(place.key)
        if gap is None:
            msg = f"place {place.id} is awarded but nothing is reserved for it"
            raise LookupError(msg)
        dues = laws[_law(place)]
        paid = place.contribution if place.credited else ZERO
        drafts.append(
            ledger.Draft(
                source="place",
                external_id=str(place.id),
                description=places.YEAR,
                postings=places.funding(gap, paid, dues),
                policy_version=dues.id,
                person=people[place.account_id],
            )
        )
    await ledger.post_all(work, drafts)


async def _tell(work: UnitOfWork, begun: Sequence[Candidate], granted: Sequence[Granted]) -> None:
    zone = work.settings.zone
    await letters.post_all(
        work,
        letters.BEGUN,
        [
            Addressed(
                place.email,
                place.locale,
                f"place-begun:{place.id}",
                day=local_date(year.year.ends, zone) - timedelta(days=1),
            )
            for place, year in zip(begun, granted, strict=True)
        ],
    )
