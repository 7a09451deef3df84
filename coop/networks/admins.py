"""Network admins: who may open the console of a network and act for it.

Nobody becomes one by signing in to the network; they are named by the cooperative, at the command line or when the network is
registered. Holders of the cooperative's own role `admin` may open any console, and each look of theirs is audited.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, delete, exists, select
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base, changed, insert_once
from coop.errors import NotAllowed, NotFound, Refused
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.networks import networks
from coop.networks.networks import Network
from coop.stewardship import audit, roles
from coop.unit_of_work import UnitOfWork

Standing = Literal["network", "cooperative"]
"""By which right somebody acts for a network: as one of its own admins, or by the cooperative's role `admin`."""


class NotNetworkAdmin(NotAllowed):
    """Only those who administer this network may do that; the cooperative's admins can name you."""

    code = "not_network_admin"


class LastNetworkAdmin(Refused):
    """You are the last who administers this network; let somebody else be named first."""

    code = "last_network_admin"


class NoSuchNetworkAdmin(NotFound):
    """They do not administer this network."""

    code = "no_such_network_admin"


class NetworkAdmin(Base):
    """One account that administers one network."""

    __tablename__ = "network_admins"

    network_id: Mapped[UUID] = mapped_column(ForeignKey("networks.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    since: Mapped[datetime]
    added_by: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"), default=None)
    """Who named them; nobody means the operator of the machine, at the command line."""


async def add(work: UnitOfWork, network_id: UUID, account_id: UUID, *, by: UUID | None) -> bool:
    """Let an account administer a network; naming it again changes nothing. Tell whether it was new."""
    network = await networks.get(work, network_id)
    await accounts.get(work, account_id)
    new = await insert_once(
        work.session,
        NetworkAdmin,
        network_id=network_id,
        account_id=account_id,
        since=work.now,
        added_by=by,
    )
    if new:
        await audit.record(
            work,
            act="network.admin_added",
            reason=f"Administers {network.slug}",
            actor=by,
            about=account_id,
            subject=network.slug,
        )
    return new


async def remove(work: UnitOfWork, network_id: UUID, account_id: UUID, *, by: UUID | None) -> None:
    """Take a network out of an account's hands; the last admin cannot leave it with nobody on their own."""
    # Held, so that two admins who take each other out at once do not leave the network with nobody.
    network = await work.session.scalar(select(Network).where(Network.id == network_id).with_for_update())
    if network is None:
        raise networks.NoSuchNetwork
    if by is not None and "admin" not in await roles.held(work, by):
        others = exists().where(NetworkAdmin.network_id == network_id, NetworkAdmin.account_id != account_id)
        if not await work.session.scalar(select(others)):
            raise LastNetworkAdmin
    gone = delete(NetworkAdmin).where(
        NetworkAdmin.network_id == network_id, NetworkAdmin.account_id == account_id
    )
    if not await changed(work.session, gone):
        raise NoSuchNetworkAdmin
    await audit.record(
        work,
        act="network.admin_removed",
        reason=f"No longer administers {network.slug}",
        actor=by,
        about=account_id,
        subject=network.slug,
    )


async def require(work: UnitOfWork, network_id: UUID, account_id: UUID) -> Standing:
    """Refuse an account that may not act for the network, and return by which right it may.

    It only reads. Whoever lets somebody in by the right of the cooperative also calls `note_look`, in a unit that writes.
    """
    if await work.session.get(NetworkAdmin, (network_id, account_id)) is not None:
        return "network"
    if "admin" in await roles.held(work, account_id):
        return "cooperative"
    raise NotNetworkAdmin


async def note_look(work: UnitOfWork, network: Network, account_id: UUID) -> None:
    """Write down that an admin of the cooperative opened the console of a network that is not theirs."""
    await audit.record(
        work, act="network.console_opened", reason="Role admin", actor=account_id, subject=network.slug
    )


async def networks_of(work: UnitOfWork, account_id: UUID) -> Sequence[Network]:
    """Return the networks that an account administers, by name."""
    found = await work.session.scalars(
        select(Network)
        .join(NetworkAdmin, NetworkAdmin.network_id == Network.id)
        .where(NetworkAdmin.account_id == account_id)
        .order_by(Network.name, Network.slug)
    )
    return found.all()


async def of_network(work: UnitOfWork, network_id: UUID) -> list[tuple[str, datetime]]:
    """Return the handles of those who administer a network and since when, the first named first."""
    rows = await work.session.execute(
        select(Account.handle, NetworkAdmin.since)
        .join(NetworkAdmin, NetworkAdmin.account_id == Account.id)
        .where(NetworkAdmin.network_id == network_id)
        .order_by(NetworkAdmin.since, Account.handle)
    )
    return [(handle, since) for handle, since in rows]
