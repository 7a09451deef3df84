"""Links: which accounts a network knows, since when, and under which subject."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    String,
    UniqueConstraint,
    Uuid,
    and_,
    bindparam,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base, UTCDateTime
from coop.identity.accounts import Account
from coop.membership import entitlements, standing
from coop.membership.entitlements import Entitlement
from coop.membership.standing import YEAR, Year, reaches
from coop.membership.terms import Term
from coop.networks import networks, subjects
from coop.networks.networks import Network
from coop.outbox import Event
from coop.prepared import Line, Prepared
from coop.unit_of_work import UnitOfWork


class MemberLinked(Event, frozen=True, kw_only=True):
    """An account began to use a network."""

    network_id: UUID
    account_id: UUID


class Link(Base):
    """One account on one network; it ends when the member cuts the network off, and may begin again."""

    __tablename__ = "links"
    __table_args__ = (
        UniqueConstraint("network_id", "subject"),
        CheckConstraint("ended_at IS NULL OR ended_at >= linked_at", name="period"),
    )

    network_id: Mapped[UUID] = mapped_column(ForeignKey("networks.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    subject: Mapped[str] = mapped_column(String(subjects.LENGTH))
    linked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(default=None)


async def link(work: UnitOfWork, network_id: UUID, account_id: UUID) -> Link:
    """Link an account to a network at its first consent there; doing it again changes nothing."""
    network = await networks.get(work, network_id)
    if network.state != networks.ACTIVE:
        raise networks.NetworkSuspended
    found = await work.session.get(Link, (network_id, account_id))
    if found is None:
        subject = subjects.derive(work.settings, network.sector, account_id)
        found = Link(network_id=network_id, account_id=account_id, subject=subject, linked_at=work.now)
        try:
            async with work.session.begin_nested():
                work.session.add(found)
        except IntegrityError:
            found = await work.session.get_one(Link, (network_id, account_id))
        else:
            work.publish(MemberLinked(network_id=network_id, account_id=account_id))
            return found
    begun_again = await work.session.execute(
        update(Link)
        .where(Link.network_id == network_id, Link.account_id == account_id, Link.ended_at.is_not(None))
        .values(linked_at=work.now, ended_at=None)
        .returning(Link.network_id)
    )
    if begun_again.first() is not None:
        work.publish(MemberLinked(network_id=network_id, account_id=account_id))
    return found


async def unlink(work: UnitOfWork, network_id: UUID, account_id: UUID) -> bool:
    """End a link; the alias stays taken, so that nobody can pose as the one who left. Tell whether there was one."""
    ended = await work.session.execute(
        update(Link)
        .where(Link.network_id == network_id, Link.account_id == account_id, Link.ended_at.is_(None))
        .values(ended_at=work.now)
        .returning(Link.network_id)
    )
    return ended.first() is not None


async def unlink_all(work: UnitOfWork, account_id: UUID) -> None:
    """End every link of an account."""
    await work.session.execute(
        update(Link).where(Link.account_id == account_id, Link.ended_at.is_(None)).values(ended_at=work.now)
    )


async def find(work: UnitOfWork, network_id: UUID, account_id: UUID) -> Link | None:
    """Return the running link of an account to a network, if there is one."""
    found = await work.session.get(Link, (network_id, account_id))
    return found if found is not None and found.ended_at is None else None


async def accounts_behind(
    work: UnitOfWork, network_id: UUID, wanted: list[str] | tuple[str, ...]
) -> dict[str, UUID]:
    """Return the accounts behind a network's own subjects; strangers and ended links are left out."""
    rows = await work.session.execute(
        select(Link.subject, Link.account_id).where(
            Link.network_id == network_id, Link.subject.in_(wanted), Link.ended_at.is_(None)
        )
    )
    return {subject: account_id for subject, account_id in rows}  # noqa: C416 - dict() does not know that a row is a pair


async def entitlement_of(line: Line, network_id: UUID, subject: str) -> Entitlement:
    """Return what the account behind a network's own subject is entitled to; strangers and ended links have nothing."""
    rows = await _YEARS.rows(line, network=network_id, subject=subject, now=line.now)
    years = [Year(*row) for row in rows if row[0] is not None]
    return entitlements.following_from(standing.judge(years, line.now), line.settings.zone)


# Asked in one way whoever is known and whoever is not, so that the time tells nothing either.
_YEARS = Prepared(
    select(*YEAR)
    .select_from(Link)
    .join(Account, Account.id == Link.account_id)
    .outerjoin(Term, and_(Term.account_id == Account.id, reaches(bindparam("now", type_=UTCDateTime()))))
    .where(
        Link.network_id == bindparam("network", type_=Uuid()),
        Link.subject == bindparam("subject"),
        Link.ended_at.is_(None),
        Account.locked_at.is_(None),
        Account.erased_at.is_(None),
    )
    .order_by(Term.ordinal)
)


async def networks_of(work: UnitOfWork, account_id: UUID) -> list[tuple[Network, Link]]:
    """Return the networks that an account uses, with its links, by name."""
    rows = await work.session.execute(
        select(Network, Link)
        .join(Link, Link.network_id == Network.id)
        .where(Link.account_id == account_id, Link.ended_at.is_(None))
        .order_by(Network.name, Network.slug)
    )
    return [(network, link_) for network, link_ in rows]
