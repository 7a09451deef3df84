"""Onboarding: a network, its signature under the covenant, its client and its configuration, in one act."""

import secrets
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select

from coop.authorization import clients, recipes
from coop.authorization.clients import Client, NoClient
from coop.authorization.recipes import Facts, Recipe
from coop.networks import covenant, endpoints, networks
from coop.networks.networks import Network
from coop.settings import Settings
from coop.stewardship import audit
from coop.unit_of_work import UnitOfWork

REGISTERED = "network.registered"


@dataclass(frozen=True, slots=True)
class Onboarded:
    """A network that may let people in; its secrets are shown this once and kept as digests or sealed."""

    network: Network
    client: Client
    client_secret: str | None = field(repr=False)
    recipe: Recipe
    covenant_version: int
    configuration: str = field(repr=False)
    """Markdown: what its software must be told, with the secret in its place."""
    webhook_secret: str | None = field(default=None, repr=False)


async def onboard(
    work: UnitOfWork,
    *,
    kind: str,
    name: str,
    origin: str,
    slug: str | None = None,
    callback: str | None = None,
    webhook: str | None = None,
    by: UUID | None = None,
    reason: str = "A network joins the cooperative.",
) -> Onboarded:
    """Register the network at `origin`, sign the covenant in force for it, and make the client that its software needs.

    The kind of software says where people are received back, unless `callback` (a path) does. `by` is the account that
    does it, and nobody means the operator at the command line.
    """
    recipe = recipes.find(kind, callback=callback)
    network = await networks.register(work, kind=kind, name=name, origin=origin, slug=slug)
    # Registering has signed it; this only asks which version that was.
    covenant_version = await covenant.sign(work, network.id)
    client, secret = await clients.register(
        work,
        name=network.name,
        network_id=network.id,
        redirect_uris=[_at(network, path) for path in recipe.callbacks],
        post_logout_redirect_uris=[_at(network, path) for path in recipe.post_logout],
        auth_method=recipe.auth_method,
        id_token_algorithm=recipe.id_token_algorithm,
        profile_in_id_token=recipe.profile_in_id_token,
    )
    client.ends_with_membership = recipe.ends_with_membership
    if not recipe.requires_pkce:
        clients.waive_pkce(client, requires_nonce=recipe.requires_nonce)
    if recipe.backchannel_logout is not None:
        client.backchannel_logout_uri = _at(network, recipe.backchannel_logout)
        # Without the session, software could only end every session of its account, and some will not.
        client.backchannel_logout_session_required = True
    await audit.record(work, act=REGISTERED, reason=reason, actor=by, subject=network.slug)
    webhook_secret = None
    if webhook is not None:
        _, webhook_secret = await endpoints.create(work, network.id, webhook)
    text = recipes.render(recipe, facts(work.settings, network, client, secret))
    return Onboarded(network, client, secret, recipe, covenant_version, text, webhook_secret)


async def client_of(work: UnitOfWork, network_id: UUID) -> Client:
    """Return the client by which a network's people sign in: the first that was made for it."""
    found = await work.session.scalar(
        select(Client)
        .where(Client.network_id == network_id, Client.self_registered.is_(False))
        .order_by(Client.created_at, Client.id)
        .limit(1)
    )
    if found is None:
        raise NoClient("That network has no client yet.")
    return found


def configuration(settings: Settings, network: Network, client: Client, secret: str | None = None) -> str:
    """Return the ready configuration of a network once more; without its secret, a marker stands in its place."""
    return recipes.render(recipes.of_kind(network.kind), facts(settings, network, client, secret))


def facts(settings: Settings, network: Network, client: Client, secret: str | None = None) -> Facts:
    """Return the values that a recipe names."""
    return Facts(
        cooperative=settings.name,
        issuer=settings.issuer,
        network=network.name,
        slug=network.slug,
        origin=network.origin,
        client_id=client.client_id,
        client_secret=secret or recipes.SECRET_WITHHELD,
        redirect_uri=client.redirect_uris[0],
        provider=recipes.provider_of(network.id),
        # Of the application's own, which we neither keep nor know again.
        random=secrets.token_hex(16),
    )


def _at(network: Network, path: str) -> str:
    return f"{network.origin}{recipes.placed(path, network.id)}"
