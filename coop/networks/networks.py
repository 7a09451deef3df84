"""Networks: the ad-free places that delegate login and billing to the cooperative."""

import re
import unicodedata
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, String, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid, NotFound, Refused
from coop.networks import covenant, origins
from coop.unit_of_work import UnitOfWork, new_id

ACTIVE = "active"
SUSPENDED = "suspended"

LONGEST_NAME = 80
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,29}", re.ASCII)
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]", re.ASCII)


class BadNetworkName(Invalid):
    """Give the network a name of up to 80 visible characters."""

    code = "bad_network_name"


class BadKind(Invalid):
    """Name the network's software in small letters, like mastodon, or say own."""

    code = "bad_kind"


class BadSlug(Invalid):
    """A network's short name has 2 to 40 small letters, digits and hyphens, and begins with a letter."""

    code = "bad_slug"


class OriginTaken(Refused):
    """A network with that address is registered already."""

    code = "origin_taken"


class SlugTaken(Refused):
    """Another network has that short name; choose a different one."""

    code = "slug_taken"


class NoSuchNetwork(NotFound):
    """There is no such network."""

    code = "no_such_network"


class NetworkSuspended(Refused):
    """That network is suspended; until the members decide, nobody can begin to use it through the cooperative."""

    code = "network_suspended"


class Network(Base):
    """One network; its sector, from which pairwise subjects are derived, never changes."""

    __tablename__ = "networks"
    __table_args__ = (CheckConstraint("state IN ('active', 'suspended')", name="state"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    kind: Mapped[str] = mapped_column(String(30))
    origin: Mapped[str] = mapped_column(String(origins.LONGEST), unique=True)
    sector: Mapped[str] = mapped_column(String(origins.LONGEST), unique=True)
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default=ACTIVE)


async def register(
    work: UnitOfWork, *, kind: str, name: str, origin: str, slug: str | None = None
) -> Network:
    """Register the network at `origin` and sign the covenant in force for it; without `slug`, `name` gives one."""
    name = _readable(name)
    if not _KIND.fullmatch(kind):
        raise BadKind(field="kind")
    address = origins.canonical(origin, work.settings)
    short = _short(name) if slug is None else slug
    if not _SLUG.fullmatch(short):
        raise BadSlug(field="slug")
    network = Network(
        slug=short, name=name, kind=kind, origin=address, sector=origins.host_of(address), created_at=work.now
    )
    try:
        async with work.session.begin_nested():
            work.session.add(network)
    except IntegrityError as error:
        # Whoever registers again has both in common with the first time; engines differ in which of them they name.
        taken = select(Network.id).where(Network.origin == address)
        raise (
            SlugTaken(field="slug")
            if await work.session.scalar(taken) is None
            else OriginTaken(field="origin")
        ) from error
    await covenant.sign(work, network.id)
    return network


async def get(work: UnitOfWork, network_id: UUID) -> Network:
    """Return the network with this identifier."""
    network = await work.session.get(Network, network_id)
    if network is None:
        raise NoSuchNetwork
    return network


async def by_slug(work: UnitOfWork, slug: str) -> Network:
    """Return the network with this short name."""
    network = await work.session.scalar(select(Network).where(Network.slug == slug))
    if network is None:
        raise NoSuchNetwork
    return network


async def directory(work: UnitOfWork) -> list[Network]:
    """Return every network that people can join, by name."""
    found = await work.session.scalars(
        select(Network).where(Network.state == ACTIVE).order_by(Network.name, Network.slug)
    )
    return list(found)


async def rename(work: UnitOfWork, network_id: UUID, name: str) -> str:
    """Give the network another name, and return it as it is written."""
    named = _readable(name)
    await work.session.execute(update(Network).where(Network.id == network_id).values(name=named))
    return named


async def suspend(work: UnitOfWork, network_id: UUID) -> None:
    """Stop new logins to a network that breaks the covenant; nobody's data is touched."""
    await _turn(work, network_id, SUSPENDED)


async def reinstate(work: UnitOfWork, network_id: UUID) -> None:
    """Let people log in to a suspended network again."""
    await _turn(work, network_id, ACTIVE)


async def _turn(work: UnitOfWork, network_id: UUID, state: str) -> None:
    network = await get(work, network_id)
    await work.session.execute(update(Network).where(Network.id == network.id).values(state=state))


def _readable(name: str) -> str:
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    # Category C holds controls, zero-width and right-to-left marks: what makes one name look like another.
    if not 0 < len(name) <= LONGEST_NAME or any(unicodedata.category(c)[0] == "C" for c in name):
        raise BadNetworkName(field="name")
    return name


def _short(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-0123456789")[:40].rstrip("-")
