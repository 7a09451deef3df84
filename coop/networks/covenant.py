"""The covenant: what every network promises, and which version of it each has signed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop import policies
from coop.database import Base
from coop.policies.versions import PolicyVersion
from coop.unit_of_work import UnitOfWork


class Signature(Base):
    """A network's signature under one version of the covenant."""

    __tablename__ = "covenant_signatures"

    network_id: Mapped[UUID] = mapped_column(ForeignKey("networks.id"), primary_key=True)
    version_id: Mapped[UUID] = mapped_column(ForeignKey("policy_versions.id"), primary_key=True)
    signed_at: Mapped[datetime]


async def sign(work: UnitOfWork, network_id: UUID) -> int:
    """Sign the version in force for a network, and return its number; signing it again changes nothing."""
    version = await policies.in_force(work, policies.Covenant)
    if await work.session.get(Signature, (network_id, version.id)) is None:
        try:
            async with work.session.begin_nested():
                work.session.add(Signature(network_id=network_id, version_id=version.id, signed_at=work.now))
        except IntegrityError:
            # Signed at the same moment by another hand: it is signed.
            pass
    return version.number


async def signed(work: UnitOfWork, network_ids: list[UUID]) -> dict[UUID, int]:
    """Return the number of the newest version that each of these networks has signed; one query."""
    rows = await work.session.execute(
        select(Signature.network_id, func.max(PolicyVersion.number))
        .join(PolicyVersion, PolicyVersion.id == Signature.version_id)
        .where(Signature.network_id.in_(network_ids))
        .group_by(Signature.network_id)
    )
    return {network_id: number for network_id, number in rows}  # noqa: C416 - dict() does not know that a row is a pair
