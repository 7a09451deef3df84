"""A network's client in its console: its addresses, and its secret."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from api.dependencies import AnyRequest, Viewer, require_recent
from api.pages.console.access import PATH, Nothing, Typed, act, at, look
from api.pages.entrance import onward, told
from api.pages.rendering import page
from coop.authorization import clients, console, redirects
from coop.authorization.clients import Client
from coop.errors import Invalid
from coop.networks.networks import Network
from coop.unit_of_work import Units

ONE = f"{PATH}/clients/{{client_id:uuid}}"

Lines = Annotated[str, msgspec.Meta(max_length=redirects.MOST * (redirects.LONGEST + 2))]


class Addresses(msgspec.Struct, forbid_unknown_fields=True):
    """What the form with a client's addresses sends; lists have one address a line."""

    redirect_uris: Lines = ""
    post_logout_redirect_uris: Lines = ""
    backchannel_logout_uri: Typed = ""


@get(ONE, include_in_schema=False)
async def one(
    request: AnyRequest,
    slug: FromPath[str],
    client_id: FromPath[UUID],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Show a client with its addresses, to be changed."""
    network = await look(units, signed_in, slug)
    async with units.read() as work:
        client = await console.client_of(work, network, client_id)
    typed = Addresses(
        "\n".join(client.redirect_uris),
        "\n".join(client.post_logout_redirect_uris),
        client.backchannel_logout_uri or "",
    )
    return _client(request, units, network, client, typed)


@post(ONE, include_in_schema=False)
async def readdress(
    request: AnyRequest,
    slug: FromPath[str],
    client_id: FromPath[UUID],
    data: URLEncodedBody[Addresses],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Change a client's addresses, for whoever has just proved who they are: codes go where these say."""
    require_recent(request, signed_in, next_path=at(slug, "clients", client_id))
    async with units.read() as work:
        network = await act(work, signed_in, slug)
        client = await console.client_of(work, network, client_id)
    try:
        async with units.open() as work:
            await console.readdress(
                work,
                network,
                await console.client_of(work, network, client_id),
                redirect_uris=data.redirect_uris.split(),
                post_logout_redirect_uris=data.post_logout_redirect_uris.split(),
                backchannel_logout_uri=data.backchannel_logout_uri.strip() or None,
                by=signed_in.account_id,
            )
    except Invalid as refusal:
        return _client(
            request, units, network, client, data, {refusal.field or "redirect_uris": refusal.message}
        )
    return onward(at(slug))


@post(f"{ONE}/secret", status_code=HTTPStatus.OK, include_in_schema=False)
async def rotate(
    request: AnyRequest,
    slug: FromPath[str],
    client_id: FromPath[UUID],
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Make a new secret and show it, this once; the old one goes on for a day."""
    del data
    require_recent(request, signed_in, next_path=at(slug, "clients", client_id))
    async with units.open() as work:
        network = await act(work, signed_in, slug)
        client = await console.client_of(work, network, client_id)
        secret = await clients.rotate_secret(work, client)
        await console.note(work, network, "network.secret_rotated", "Client secret", by=signed_in.account_id)
    return page(
        "console/secret.html",
        request,
        network=network,
        home=at(slug),
        what="client",
        secret=secret,
        client_id=client.client_id,
    )


def _client(
    request: AnyRequest,
    units: Units,
    network: Network,
    client: Client,
    typed: Addresses,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    until = client.previous_secret_until
    return page(
        "console/client.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        network=network,
        home=at(network.slug),
        client=client,
        typed=typed,
        overlap_until=until if until is not None and until > units.clock.wall() else None,
        errors=told(request, errors or {}),
    )


routes = [one, readdress, rotate]
