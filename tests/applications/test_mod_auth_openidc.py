"""Apache with mod_auth_openidc, as Debian ships it: a page that only members of the cooperative read."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from coop.authorization import clients, consents, tokens
from coop.networks import networks
from tests.applications import httpd
from tests.applications.conftest import LONGEST_LAPSE, Stopwatch
from tests.applications.person import Person
from tests.postgres import free_port
from tests.service import Service

pytestmark = pytest.mark.applications

# For a gate, what the ID Token said of groups wins over what UserInfo says later, so OIDCUserInfoRefreshInterval alone
# never closes it. Refreshing the access token brings a new ID Token along.
REFRESH_AFTER = 30
"""Seconds after which it does; without OIDCDefaultLoggedOutURL, logout_on_error makes Debian's version crash."""

CONFIGURATION = """\
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client_id}
OIDCClientSecret {secret}
OIDCRedirectURI {origin}/callback
OIDCCryptoPassphrase 0123456789abcdef0123456789abcdef
OIDCScope "openid profile"
OIDCPKCEMethod S256
OIDCRemoteUserClaim preferred_username
OIDCDefaultLoggedOutURL {origin}/
<Location />
    AuthType openid-connect
    Require claim groups:coop-members
    AuthzSendForbiddenOnFailure On
    OIDCRefreshAccessTokenBeforeExpiry {before_expiry} logout_on_error
</Location>
"""


@dataclass
class Site:
    """A site behind mod_auth_openidc."""

    origin: str
    errors: Path

    @property
    def page(self) -> str:
        """Return the address that only members get to see."""
        return f"{self.origin}/members/page.txt"


@pytest.fixture
async def site(service: Service) -> AsyncIterator[Site]:
    """Register a network and serve its site by Apache."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    async with service.units.open() as work:
        network = await networks.register(work, kind="own", name="Lantern", origin=origin)
        client, secret = await clients.register(
            work,
            name=network.name,
            network_id=network.id,
            redirect_uris=[f"{origin}/callback"],
            post_logout_redirect_uris=[f"{origin}/"],
        )
    configuration = CONFIGURATION.format(
        issuer=service.issuer,
        client_id=client.client_id,
        secret=secret,
        origin=origin,
        before_expiry=int(tokens.ACCESS_LIFETIME.total_seconds()) - REFRESH_AFTER,
    )
    async with httpd.running(port, configuration) as errors:
        yield Site(origin, errors)


async def test_only_members_read_the_page(site: Site, ada: Person) -> None:
    refused = await ada.open(site.page)
    assert refused.status_code == httpx.codes.FORBIDDEN
    assert httpd.SECRET_PAGE not in refused.text

    await ada.become_member()
    ada.browser.cookies.delete("mod_auth_openidc_session")
    welcome = await ada.open(site.page)

    assert (welcome.status_code, welcome.text) == (httpx.codes.OK, httpd.SECRET_PAGE)
    # It warns of a key whose algorithm it does not know, and goes on to the next.
    assert "auth_openidc:error" not in site.errors.read_text()


async def test_who_becomes_a_member_is_let_in_without_signing_in_again(
    site: Site, ada: Person, stopwatch: Stopwatch
) -> None:
    assert (await ada.open(site.page)).status_code == httpx.codes.FORBIDDEN
    await ada.become_member()

    async def let_in() -> bool:
        return (await ada.browser.get(site.page)).status_code == httpx.codes.OK

    assert await stopwatch.until(let_in, "a new member was let in") < LONGEST_LAPSE


async def test_a_lapsed_member_is_refused_within_a_minute(
    site: Site, ada: Person, stopwatch: Stopwatch
) -> None:
    await ada.become_member()
    assert (await ada.open(site.page)).status_code == httpx.codes.OK
    await ada.stop_being_member()

    async def refused() -> bool:
        return (await ada.browser.get(site.page)).status_code == httpx.codes.FORBIDDEN

    assert await stopwatch.until(refused, "a lapsed member was refused") < LONGEST_LAPSE


async def test_whose_consent_is_withdrawn_is_signed_out_within_a_minute(
    site: Site, ada: Person, stopwatch: Stopwatch
) -> None:
    await ada.become_member()
    assert (await ada.open(site.page)).status_code == httpx.codes.OK
    async with ada.service.units.open() as work:
        [(client, _)] = await consents.of_account(work, ada.account.id)
        await consents.withdraw(work, client, ada.account.id)

    async def signed_out() -> bool:
        return "/oauth/authorize" in str((await ada.browser.get(site.page)).url)

    assert await stopwatch.until(signed_out, "who withdrew consent was signed out") < LONGEST_LAPSE
