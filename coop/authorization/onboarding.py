"""Onboarding: a network, its signature under the covenant, and its client, in one act."""

from dataclasses import dataclass, field

from coop.authorization import clients
from coop.authorization.clients import Client
from coop.networks import networks
from coop.networks.networks import Network
from coop.unit_of_work import UnitOfWork

# Where each application receives people back after signing in (networks.md, read in their sources).
CALLBACKS = {
    "mastodon": "/auth/auth/openid_connect/callback",
    "discourse": "/auth/oidc/callback",
    "synapse": "/_synapse/client/oidc/callback",
    "nextcloud": "/apps/user_oidc/code",
    "forgejo": "/user/oauth2/coop/callback",
    "wordpress": "/wp-admin/admin-ajax.php?action=openid-connect-authorize",
    "own": "/callback",
}


@dataclass(frozen=True, slots=True)
class Onboarded:
    """A network that may let people in; the secret is shown once and kept as a digest."""

    network: Network
    client: Client
    client_secret: str | None = field(repr=False)


async def onboard(
    work: UnitOfWork, *, kind: str, name: str, origin: str, callback: str | None = None
) -> Onboarded:
    """Register the network at `origin`, sign the covenant in force for it, and make its client.

    The kind of software says where people are received back, unless `callback` (a path) does.
    """
    network = await networks.register(work, kind=kind, name=name, origin=origin)
    client, secret = await clients.register(
        work,
        name=network.name,
        network_id=network.id,
        redirect_uris=[f"{network.origin}{callback or CALLBACKS.get(kind, CALLBACKS['own'])}"],
        post_logout_redirect_uris=[f"{network.origin}/"],
        auth_method="client_secret_basic",
    )
    return Onboarded(network, client, secret)
