"""The first page of a console: how the network is used, what it has signed, how it is connected, what arrived."""

from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.console.access import PATH, Nothing, Typed, act, at, look
from api.pages.entrance import onward, told
from api.pages.prose import prose
from api.pages.rendering import page
from coop import policies
from coop.authorization import console, onboarding, recipes
from coop.errors import Invalid
from coop.networks import admins, covenant, deliveries, endpoints
from coop.networks.networks import Network
from coop.unit_of_work import Units

GLANCE = 5
"""Deliveries on the first page; the others have a page of their own."""


class Name(msgspec.Struct, forbid_unknown_fields=True):
    """What the form with the network's name sends."""

    name: Typed = ""


@get(PATH, include_in_schema=False)
async def overview(
    request: AnyRequest,
    slug: FromPath[str],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Show the network to those who administer it."""
    network = await look(units, signed_in, slug)
    async with units.read() as work:
        in_force = await policies.in_force(work, policies.Covenant)
        return page(
            "console/overview.html",
            request,
            network=network,
            software=recipes.of_kind(network.kind).name if network.kind in recipes.KINDS else network.kind,
            host=urlsplit(network.origin).netloc,
            home=at(slug),
            counts=await console.counts(work, network.id),
            signed=(await covenant.signed(work, [network.id])).get(network.id),
            in_force=in_force.number,
            sign_within=in_force.document.sign_within_days,
            clients=await console.clients_of(work, network.id),
            endpoint=await endpoints.find(work, network.id),
            deliveries=await deliveries.recent(work, network.id, most=GLANCE),
            admins=await admins.of_network(work, network.id),
        )


@get(f"{PATH}/configuration", include_in_schema=False)
async def configuration(
    request: AnyRequest,
    slug: FromPath[str],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Show what the network's software must be told, ready to paste but for the secret."""
    network = await look(units, signed_in, slug)
    async with units.read() as work:
        client = await onboarding.client_of(work, network.id)
    text = onboarding.configuration(units.settings, network, client)
    return page(
        "console/configuration.html",
        request,
        network=network,
        home=at(slug),
        configuration=prose(text),
    )


@post(f"{PATH}/covenant", include_in_schema=False)
async def sign(
    slug: FromPath[str],
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Sign the covenant in force for the network."""
    del data
    async with units.open() as work:
        network = await act(work, signed_in, slug)
        number = await covenant.sign(work, network.id)
        await console.note(
            work, network, "network.signed", f"Covenant, version {number}", by=signed_in.account_id
        )
    return onward(at(slug))


@get(f"{PATH}/name", include_in_schema=False)
async def name_form(
    request: AnyRequest,
    slug: FromPath[str],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Ask what people call the network."""
    network = await look(units, signed_in, slug)
    return _name(request, network, network.name)


@post(f"{PATH}/name", include_in_schema=False)
async def rename(
    request: AnyRequest,
    slug: FromPath[str],
    data: URLEncodedBody[Name],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Change what people call the network."""
    async with units.read() as work:
        network = await act(work, signed_in, slug)
    try:
        async with units.open() as work:
            await console.rename(work, network, data.name, by=signed_in.account_id)
    except Invalid as refusal:
        return _name(request, network, data.name, {"name": refusal.message})
    return onward(at(slug))


def _name(
    request: AnyRequest, network: Network, name: str, errors: dict[str, str] | None = None
) -> Response[bytes]:
    return page(
        "console/name.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        network=network,
        home=at(network.slug),
        name=name[:200],
        errors=told(request, errors or {}),
    )


routes = [overview, configuration, sign, name_form, rename]
