"""Connected networks: what each of them is told about the member, and the switch that cuts one off."""

from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward
from api.pages.rendering import page
from coop.authorization import claims, clients, consents, scopes
from coop.authorization.clients import Client, NoClient
from coop.authorization.consents import Consent
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.membership import entitlements
from coop.settings import Settings
from coop.unit_of_work import Units

PATH = "/account/networks"


@get(PATH, include_in_schema=False)
async def connected(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """List the networks with the very values that each of them sees."""
    async with units.read() as work:
        account = await accounts.get(work, signed_in.account_id)
        entitled = await entitlements.of(work, account.id)
        rows = await consents.of_account(work, account.id)
    return page(
        "oauth/connected.html",
        request,
        entitled=entitled,
        networks=[_seen(units.settings, client, consent, account) for client, consent in rows],
    )


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


def _seen(settings: Settings, client: Client, consent: Consent, account: Account) -> dict[str, object]:
    told = claims.of_profile(consents.profile(account, consent), scopes.words(consent.scope))
    return {
        "id": client.id,
        "name": client.name,
        "since": consent.given_at,
        "alias": told.get("preferred_username"),
        "display_name": told.get("name"),
        "email": told.get("email"),
        "subject": claims.subject(settings, client, account.id),
        "own_handle": consent.name == account.handle,
    }


routes = [connected, withdraw]
