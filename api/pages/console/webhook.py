"""A network's webhook in its console: its address, its secret, and a test."""

from http import HTTPStatus

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from api.dependencies import AnyRequest, Viewer, require_recent
from api.pages.console.access import PATH, Nothing, Typed, act, at, look
from api.pages.entrance import onward, told
from api.pages.rendering import page
from coop.authorization import console
from coop.errors import Invalid
from coop.networks import deliveries, endpoints
from coop.networks.endpoints import Endpoint
from coop.networks.networks import Network
from coop.unit_of_work import Units

HERE = f"{PATH}/webhook"


class Address(msgspec.Struct, forbid_unknown_fields=True):
    """What the form with the webhook's address sends."""

    url: Typed = ""


@get(HERE, include_in_schema=False)
async def webhook(
    request: AnyRequest,
    slug: FromPath[str],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Show where the network is told, to be changed."""
    network = await look(units, signed_in, slug)
    async with units.read() as work:
        endpoint = await endpoints.find(work, network.id)
    return _webhook(request, units, network, endpoint, endpoint.url if endpoint else "")


@post(HERE, status_code=HTTPStatus.OK, include_in_schema=False)
async def set_address(
    request: AnyRequest,
    slug: FromPath[str],
    data: URLEncodedBody[Address],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Set the address; the first time this makes the secret, which is shown once."""
    require_recent(request, signed_in, next_path=at(slug, "webhook"))
    async with units.read() as work:
        network = await act(work, signed_in, slug)
        endpoint = await endpoints.find(work, network.id)
    url, secret = data.url.strip(), None
    try:
        async with units.open() as work:
            if endpoint is None:
                _, secret = await endpoints.create(work, network.id, url)
            else:
                await endpoints.move(work, network.id, url)
            await console.note(work, network, "network.webhook_set", "Address", by=signed_in.account_id)
    except Invalid as refusal:
        return _webhook(request, units, network, endpoint, data.url, {"url": refusal.message})
    return onward(at(slug, "webhook")) if secret is None else _secret(request, network, secret)


@post(f"{HERE}/secret", status_code=HTTPStatus.OK, include_in_schema=False)
async def rotate(
    request: AnyRequest,
    slug: FromPath[str],
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Make a new secret and show it, this once; for a day both sign."""
    del data
    require_recent(request, signed_in, next_path=at(slug, "webhook"))
    async with units.open() as work:
        network = await act(work, signed_in, slug)
        secret = await endpoints.rotate(work, network.id)
        await console.note(work, network, "network.secret_rotated", "Webhook secret", by=signed_in.account_id)
    return _secret(request, network, secret)


@post(f"{HERE}/remove", include_in_schema=False)
async def remove(
    request: AnyRequest,
    slug: FromPath[str],
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Tell the network nothing any more."""
    del data
    require_recent(request, signed_in, next_path=at(slug, "webhook"))
    async with units.open() as work:
        network = await act(work, signed_in, slug)
        await endpoints.remove(work, network.id)
        await console.note(work, network, "network.webhook_removed", "Address", by=signed_in.account_id)
    return onward(at(slug))


@post(f"{HERE}/test", include_in_schema=False)
async def test(
    slug: FromPath[str],
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Send a test, and lead to where its outcome will stand."""
    del data
    async with units.open() as work:
        network = await act(work, signed_in, slug)
        await deliveries.test(work, network.id)
    return onward(at(slug, "deliveries"))


def _secret(request: AnyRequest, network: Network, secret: str) -> Response[bytes]:
    return page(
        "console/secret.html",
        request,
        network=network,
        home=at(network.slug),
        what="webhook",
        secret=secret,
        client_id=None,
    )


def _webhook(
    request: AnyRequest,
    units: Units,
    network: Network,
    endpoint: Endpoint | None,
    url: str,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    until = endpoint.previous_until if endpoint else None
    return page(
        "console/webhook.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        network=network,
        home=at(network.slug),
        endpoint=endpoint,
        url=url,
        overlap_until=until if until is not None and until > units.clock.wall() else None,
        errors=told(request, errors or {}),
    )


routes = [webhook, set_address, rotate, remove, test]
