"""Webhook endpoints: where a network wants to be told, and the secrets that prove who tells it."""

import base64
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop import fetching, sealing
from coop.database import Base
from coop.errors import NotFound, Refused
from coop.networks import networks
from coop.unit_of_work import UnitOfWork, new_id

PURPOSE = "webhook secret"
PREFIX = "whsec_"
SECRET_BYTES = 32
OVERLAP = timedelta(hours=24)
"""How long deliveries carry a signature by the old secret as well, once a new one was made."""


class EndpointExists(Refused):
    """This network has a webhook endpoint already; change its address or make a new secret instead."""

    code = "endpoint_exists"


class NoEndpoint(NotFound):
    """This network has no webhook endpoint."""

    code = "no_endpoint"


class EndpointGone(Refused):
    """Your server answered that this address is gone; set the address again, or another one, before anything is sent."""

    code = "endpoint_gone"


class Endpoint(Base):
    """The one address of a network that is told facts; its secrets are sealed."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    network_id: Mapped[UUID] = mapped_column(ForeignKey("networks.id"), unique=True)
    url: Mapped[str] = mapped_column(String(fetching.LONGEST_URL))
    created_at: Mapped[datetime]
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary, repr=False)
    sealed_previous: Mapped[bytes | None] = mapped_column(LargeBinary, default=None, repr=False)
    previous_until: Mapped[datetime | None] = mapped_column(default=None)
    gone_at: Mapped[datetime | None] = mapped_column(default=None)
    """When the other side answered 410 Gone: it is told nothing more until its address is set again."""
    failing_since: Mapped[datetime | None] = mapped_column(default=None)
    """When the present row of failures began; nothing has arrived since."""
    slow: Mapped[bool] = mapped_column(default=False)
    """Whether the last attempt was not answered, or not at once; slow endpoints share lanes of their own."""
    tried_at: Mapped[datetime | None] = mapped_column(default=None)


async def create(work: UnitOfWork, network_id: UUID, url: str) -> tuple[Endpoint, str]:
    """Tell the network at `url` from now on; return the endpoint and its secret, which is shown this once."""
    await networks.get(work, network_id)
    fetching.check_url(url, work.settings)
    sealed, secret = _new_secret(work, network_id)
    endpoint = Endpoint(network_id=network_id, url=url, created_at=work.wall, sealed_secret=sealed)
    try:
        async with work.session.begin_nested():
            work.session.add(endpoint)
    except IntegrityError as error:
        raise EndpointExists from error
    return endpoint, secret


async def find(work: UnitOfWork, network_id: UUID) -> Endpoint | None:
    """Return the endpoint of a network, if it has one."""
    endpoint: Endpoint | None = await work.session.scalar(
        select(Endpoint).where(Endpoint.network_id == network_id)
    )
    return endpoint


async def of(work: UnitOfWork, network_id: UUID) -> Endpoint:
    """Return the endpoint of a network, or refuse."""
    endpoint = await find(work, network_id)
    if endpoint is None:
        raise NoEndpoint
    return endpoint


async def move(work: UnitOfWork, network_id: UUID, url: str) -> None:
    """Tell the network at another address, under the same secret; also wakes an endpoint that was gone."""
    endpoint = await of(work, network_id)
    endpoint.url = fetching.check_url(url, work.settings)
    # A new address is judged afresh.
    endpoint.gone_at = endpoint.failing_since = None
    endpoint.slow = False


async def rotate(work: UnitOfWork, network_id: UUID) -> str:
    """Make a new secret and return it; for a day, deliveries are signed by both, so that none is refused."""
    endpoint = await of(work, network_id)
    endpoint.sealed_previous, endpoint.previous_until = endpoint.sealed_secret, work.wall + OVERLAP
    endpoint.sealed_secret, secret = _new_secret(work, network_id)
    return secret


async def remove(work: UnitOfWork, network_id: UUID) -> None:
    """Tell the network nothing any more; what was still to be delivered is dropped."""
    endpoint = await of(work, network_id)
    await work.session.execute(delete(Endpoint).where(Endpoint.id == endpoint.id))


def signing_secrets(work: UnitOfWork, endpoint: Endpoint) -> tuple[str, ...]:
    """Return the secrets that sign a delivery now, the newest first."""
    sealed = [endpoint.sealed_secret]
    if endpoint.sealed_previous and endpoint.previous_until and endpoint.previous_until > work.wall:
        sealed.append(endpoint.sealed_previous)
    bound_to = endpoint.network_id.bytes
    return tuple(sealing.unseal(work.settings, PURPOSE, one, bound_to=bound_to).decode() for one in sealed)


def _new_secret(work: UnitOfWork, network_id: UUID) -> tuple[bytes, str]:
    secret = PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return sealing.seal(work.settings, PURPOSE, secret.encode(), bound_to=network_id.bytes), secret
