"""Announcements: what happened in the cooperative becomes a delivery to each network that it concerns."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from sqlalchemy import select

from coop import policies
from coop.identity.accounts import AccountErased, AccountLocked, AccountUnlocked
from coop.membership.events import MembershipActivated, MembershipEnded
from coop.networks import deliveries, links, payloads
from coop.networks.deliveries import Rank
from coop.networks.endpoints import Endpoint
from coop.networks.links import Link, MemberLinked
from coop.outbox import Event
from coop.unit_of_work import UnitOfWork

MemberFact = type[payloads.MemberFact]

URGENT: tuple[MemberFact, ...] = (payloads.Locked, payloads.Unlocked)
"""What reaches every network within a minute, however much waits to be told about the same member."""


async def tell_networks_of(
    work: UnitOfWork, account_id: UUID, fact: MemberFact, *, network_id: UUID | None = None
) -> None:
    """Tell a fact about an account to every network it is linked to, or to one of them, each by its own subject."""
    linked = (
        select(Endpoint.id, Link.subject)
        .join(Link, Link.network_id == Endpoint.network_id)
        .where(Link.account_id == account_id, Link.ended_at.is_(None))
    )
    if network_id is not None:
        linked = linked.where(Link.network_id == network_id)
    for endpoint_id, subject in await work.session.execute(linked):
        due_at = deliveries.told_at(work)
        told = fact(timestamp=due_at.replace(microsecond=0), data=payloads.Member(subject=subject))
        rank = Rank.URGENT if fact in URGENT else Rank.ORDINARY
        deliveries.write(work, endpoint_id, told, account_id=account_id, due_at=due_at, rank=rank)


async def member_linked(work: UnitOfWork, event: Event) -> None:
    """Tell one network that a member began to use it."""
    if isinstance(event, MemberLinked):
        await tell_networks_of(work, event.account_id, payloads.Linked, network_id=event.network_id)


async def membership_activated(work: UnitOfWork, event: Event) -> None:
    """Tell a member's networks that the membership began."""
    if isinstance(event, MembershipActivated):
        await tell_networks_of(work, event.account_id, payloads.Activated)


async def membership_ended(work: UnitOfWork, event: Event) -> None:
    """Tell a member's networks that the membership ended."""
    if isinstance(event, MembershipEnded):
        await tell_networks_of(work, event.account_id, payloads.Ended)


async def account_locked(work: UnitOfWork, event: Event) -> None:
    """Tell a member's networks that the account was locked, so that they end its sessions."""
    if isinstance(event, AccountLocked):
        await tell_networks_of(work, event.account_id, payloads.Locked)


async def account_unlocked(work: UnitOfWork, event: Event) -> None:
    """Tell a member's networks that the lock was lifted."""
    if isinstance(event, AccountUnlocked):
        await tell_networks_of(work, event.account_id, payloads.Unlocked)


async def account_erased(work: UnitOfWork, event: Event) -> None:
    """Tell a member's networks that the account is gone, then end its links: they say whom to tell."""
    if isinstance(event, AccountErased):
        await tell_networks_of(work, event.account_id, payloads.Erased)
        await links.unlink_all(work, event.account_id)


async def policy_adopted(work: UnitOfWork, event: Event) -> None:
    """Tell every network that there is a new covenant to sign."""
    if not isinstance(event, policies.PolicyAdopted) or event.kind != policies.Covenant.kind():
        return
    covenant = payloads.Covenant(version=event.number, url=work.settings.url("/law/covenant"))
    for endpoint_id in await work.session.scalars(select(Endpoint.id)):
        due_at = deliveries.told_at(work)
        told = payloads.CovenantChanged(timestamp=due_at.replace(microsecond=0), data=covenant)
        deliveries.write(work, endpoint_id, told, account_id=None, due_at=due_at)


handlers: dict[type[Event], Callable[[UnitOfWork, Event], Awaitable[None]]] = {
    MemberLinked: member_linked,
    MembershipActivated: membership_activated,
    MembershipEnded: membership_ended,
    AccountLocked: account_locked,
    AccountUnlocked: account_unlocked,
    AccountErased: account_erased,
    policies.PolicyAdopted: policy_adopted,
}
