"""Who asks: a network, by an access token that its client got with its own credentials (RFC 6749, 4.4; RFC 6750)."""

from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from api.dependencies import AnyRequest
from coop.authorization import tokens
from coop.authorization.clients import Client
from coop.errors import NotAllowed, NotSignedIn
from coop.unit_of_work import Units

SCOPE = "entitlements"
_LONGEST_TOKEN = 4000

Connection = ASGIConnection[BaseRouteHandler, object, object, State]


class NoToken(NotSignedIn):
    """Send an access token of your network's client in the header Authorization: Bearer."""

    code = "token_required"


class BadToken(NotSignedIn):
    """That access token is unknown, expired or revoked; get a new one from /oauth/token."""

    code = "invalid_token"


class WrongScope(NotAllowed):
    """Only a network's client may ask this, with a token that it got by client_credentials for the scope entitlements."""

    code = "insufficient_scope"


async def network_only(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let networks pass that act in their own name, and remember which; a member's token does not open this door."""
    del handler
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise NoToken
    if len(token) > _LONGEST_TOKEN:
        raise BadToken
    units: Units = connection.app.state.units
    async with units.read() as work:
        bearer = await tokens.bearer(work, token)
        if bearer is None:
            raise BadToken
        client = await work.session.get_one(Client, bearer.client_id)
    if client.network_id is None or bearer.account_id is not None or SCOPE not in bearer.scope:
        raise WrongScope
    connection.state["network_id"] = client.network_id


def asking_network(request: AnyRequest) -> UUID:
    """Return the network that `network_only` let pass."""
    network_id: UUID = request.state["network_id"]
    return network_id
