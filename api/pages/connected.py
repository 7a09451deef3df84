"""Connected networks: what each of them is told about the member, the switches for that, and the one that cuts it off."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward
from api.pages.rendering import page
from coop.authorization import claims, clients, consents, grants, redirects, scopes
from coop.authorization.clients import Client, NoClient
from coop.authorization.consents import Consent, NoConsent
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.membership import entitlements
from coop.networks import links
from coop.settings import Settings
from coop.unit_of_work import Units

PATH = "/account/networks"


class Shared(msgspec.Struct, forbid_unknown_fields=True):
    """What the form with the switches sends; a switch that is off is not sent."""

    email: Annotated[str, msgspec.Meta(max_length=10)] = ""
    display_name: Annotated[str, msgspec.Meta(max_length=10)] = ""


@get(PATH, include_in_schema=False)
async def connected(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """List the networks with the very values that each of them sees."""
    async with units.read() as work:
        account = await accounts.get(work, signed_in.account_id)
        entitled = await entitlements.of(work, account.id)
        rows = await consents.of_account(work, account.id)
        signed_in_at = await grants.last_sign_ins(work, account.id)
        places = {network.id: network.origin for network, _ in await links.networks_of(work, account.id)}
    return page(
        "oauth/connected.html",
        request,
        entitled=entitled,
        networks=[
            _seen(units.settings, client, consent, account, signed_in_at.get(client.id))
            | {"place": _place(client, places)}
            for client, consent in rows
        ],
    )


@get(f"{PATH}/{{client_id:uuid}}", include_in_schema=False)
async def switches(
    request: AnyRequest,
    client_id: FromPath[UUID],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Offer what one network may be shown of the member, to be switched on or off."""
    async with units.read() as work:
        account = await accounts.get(work, signed_in.account_id)
        client = await work.session.get(Client, client_id)
        consent = await consents.of(work, client_id, account.id)
    if client is None or consent is None or consent.withdrawn_at is not None:
        raise NoConsent
    asked = scopes.claims_of(scopes.words(consent.scope))
    return page(
        "oauth/switches.html",
        request,
        client=client,
        consent=consent,
        email=account.email if "email" in asked else None,
        display_name=account.display_name if "name" in asked else None,
    )


@post(f"{PATH}/{{client_id:uuid}}", include_in_schema=False)
async def share(
    client_id: FromPath[UUID],
    data: URLEncodedBody[Shared],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Set the switches; the network sees the difference the next time it asks."""
    async with units.open() as work:
        await consents.share(
            work,
            client_id,
            signed_in.account_id,
            email=data.email == "yes",
            display_name=data.display_name == "yes",
        )
    return onward(PATH)


@post(f"{PATH}/{{client_id:uuid}}/withdraw", include_in_schema=False)
async def withdraw(
    client_id: FromPath[UUID], units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Cut a network off: its tokens are worthless from this moment."""
    async with units.open() as work:
        client = await clients.find(work, str(client_id))
        if client is None:
            raise NoClient
        await consents.withdraw(work, client, signed_in.account_id)
    return onward(PATH)


def _seen(
    settings: Settings, client: Client, consent: Consent, account: Account, signed_in_at: datetime | None
) -> dict[str, object]:
    asked = scopes.words(consent.scope)
    told = claims.of_profile(consents.profile(account, consent), asked)
    claimed = scopes.claims_of(asked)
    return {
        "id": client.id,
        "name": client.name,
        "since": consent.given_at,
        "signed_in_at": signed_in_at,
        "alias": told.get("preferred_username"),
        "display_name": told.get("name"),
        "email": told.get("email"),
        "subject": claims.subject(settings, client, account.id),
        "own_handle": consent.name == account.handle,
        "has_switches": bool(
            ("email" in claimed and account.email) or ("name" in claimed and account.display_name)
        ),
    }


def _place(client: Client, places: dict[UUID, str]) -> str | None:
    if client.network_id in places:
        return urlsplit(places[client.network_id]).netloc
    return redirects.host(client.redirect_uris[0]) if client.redirect_uris else None


routes = [connected, switches, share, withdraw]
