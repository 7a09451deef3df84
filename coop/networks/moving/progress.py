"""How far a network's moving in has come, and who is still missing."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, select

from coop.networks.aliases import Alias
from coop.networks.moving.imported import ImportedAccount
from coop.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of a network's imported accounts."""

    imported: int
    claimed: int
    by_email: int
    """Unclaimed, and found when its owner comes with the address."""
    by_link: int
    """Unclaimed, with a link that works and nothing else."""
    expired: int
    """Unclaimed, with no way left to claim them until a link is made or the file is imported again."""

    @property
    def complete(self) -> bool:
        """Whether everybody has come, so that the network may close its own login."""
        return self.imported > 0 and self.imported == self.claimed


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An account that nobody has claimed."""

    handle: str
    external_id: str | None
    way: str
    """How it can be claimed: email, link or none."""


async def of(work: UnitOfWork, network_id: UUID) -> Progress:
    """Count the network's imported accounts."""
    states = (
        select(case((ImportedAccount.claimed_at.is_not(None), "claimed"), else_=_way(work)).label("state"))
        .where(ImportedAccount.network_id == network_id)
        .subquery()
    )
    rows = await work.session.execute(select(states.c.state, func.count()).group_by(states.c.state))
    count = {state: number for state, number in rows}  # noqa: C416 - dict() does not know that a row is a pair
    return Progress(
        imported=sum(count.values()),
        claimed=count.get("claimed", 0),
        by_email=count.get("email", 0),
        by_link=count.get("link", 0),
        expired=count.get("none", 0),
    )


async def unresolved(work: UnitOfWork, network_id: UUID, *, limit: int | None = None) -> list[Unresolved]:
    """Return the accounts that nobody has claimed, by name."""
    rows = await work.session.execute(
        select(Alias.alias, ImportedAccount.external_id, _way(work))
        .join(
            ImportedAccount,
            and_(ImportedAccount.network_id == Alias.network_id, ImportedAccount.folded == Alias.folded),
        )
        .where(ImportedAccount.network_id == network_id, ImportedAccount.claimed_at.is_(None))
        .order_by(Alias.folded)
        .limit(limit)
    )
    return [Unresolved(handle, external_id, way) for handle, external_id, way in rows]


def _way(work: UnitOfWork) -> ColumnElement[str]:
    return case(
        (ImportedAccount.email_digest.is_not(None), "email"),
        (ImportedAccount.token_expires_at > work.wall, "link"),
        else_="none",
    )
