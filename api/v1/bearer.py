"""Who asks: a network, by an access token that its client got with its own credentials (RFC 6749, 4.4; RFC 6750)."""

from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from api.dependencies import AnyRequest
from coop.authorization import presented, scopes
from coop.authorization.facts import KnownClient
from coop.errors import NotAllowed, NotSignedIn
from coop.unit_of_work import Units

_LONGEST_TOKEN = 4000

Connection = ASGIConnection[BaseRouteHandler, object, object, State]


class NoToken(NotSignedIn):
    """Send an access token of your network's client in the header Authorization: Bearer."""

    code = "token_required"


class BadToken(NotSignedIn):
    """That access token is unknown, expired or revoked; get a new one from /oauth/token."""

    code = "invalid_token"


class WrongScope(NotAllowed):
    """Only a client in its own name may ask this: a network's for entitlements, one that a steward chose for networks."""

    code = "insufficient_scope"


async def network_only(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let networks pass that act in their own name, and remember which; a member's token does not open this door."""
    del handler
    client = await _acting(connection, scopes.ENTITLEMENTS)
    if client.network_id is None:
        raise WrongScope
    connection.state["network_id"] = client.network_id


async def registrar_only(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let a client pass to which a steward entrusted plugging networks in, and remember which."""
    del handler
    connection.state["registrar"] = (await _acting(connection, scopes.NETWORKS)).id


async def _acting(connection: Connection, scope: str) -> KnownClient:
    """Return the client that acts in its own name with a token for `scope`."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise NoToken
    if len(token) > _LONGEST_TOKEN:
        raise BadToken
    units: Units = connection.app.state.units
    async with units.line() as line:
        facts = await presented.by_bearer(line, token)
    access = facts.living_access(line.wall)
    if access is None or facts.client is None:
        raise BadToken
    if access.grant_id is not None or scope not in scopes.words(access.scope):
        raise WrongScope
    return facts.client


def asking_network(request: AnyRequest) -> UUID:
    """Return the network that `network_only` let pass."""
    network_id: UUID = request.state["network_id"]
    return network_id
