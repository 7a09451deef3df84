"""Supervision: what stewards and network admins do to a network after it was plugged in, each act in the audit log."""

from uuid import UUID

from sqlalchemy import update

from coop.authorization import clients
from coop.authorization.clients import Client
from coop.networks import covenant, networks
from coop.networks.networks import Network
from coop.stewardship import audit
from coop.unit_of_work import UnitOfWork


async def suspend(work: UnitOfWork, network: Network, *, reason: str, by: UUID | None) -> None:
    """Stop new sign-ins to a network that breaks the covenant; nobody's data is touched."""
    await networks.suspend(work, network.id)
    await audit.record(work, act="network.suspended", reason=reason, actor=by, subject=network.slug)


async def reinstate(work: UnitOfWork, network: Network, *, reason: str, by: UUID | None) -> None:
    """Let people sign in to a suspended network again."""
    await networks.reinstate(work, network.id)
    await audit.record(work, act="network.reinstated", reason=reason, actor=by, subject=network.slug)


async def sign(work: UnitOfWork, network: Network, *, reason: str, by: UUID | None) -> int:
    """Sign the covenant in force for a network, and return its version; signing twice changes nothing."""
    before = (await covenant.signed(work, [network.id])).get(network.id)
    version = await covenant.sign(work, network.id)
    if version != before:
        await audit.record(work, act="network.signed", reason=reason, actor=by, subject=network.slug)
    return version


async def rotate_secret(
    work: UnitOfWork, network: Network, client: Client, *, reason: str, by: UUID | None
) -> str:
    """Give a network's client a new secret, shown this once; for a day, the old one proves it as well."""
    secret = await clients.rotate_secret(work, client)
    await audit.record(work, act="network.secret_rotated", reason=reason, actor=by, subject=network.slug)
    return secret


async def gate(
    work: UnitOfWork, network: Network, *, members_only: bool, reason: str, by: UUID | None
) -> None:
    """Close the cooperative's own door to a network to all but members, or open it again, for all of its clients."""
    await work.session.execute(
        update(Client).where(Client.network_id == network.id).values(members_only=members_only)
    )
    act = "network.closed" if members_only else "network.opened"
    await audit.record(work, act=act, reason=reason, actor=by, subject=network.slug)
