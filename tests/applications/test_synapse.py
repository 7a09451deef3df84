"""Synapse as PyPI has it: a Matrix homeserver whose accounts are the cooperative's members."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from coop.authorization import clients
from coop.networks import networks
from tests.applications import homeserver
from tests.applications.person import Person
from tests.postgres import free_port
from tests.service import Service

pytestmark = pytest.mark.applications

CONFIGURATION = """\
oidc_providers:
  - idp_id: coop
    idp_name: Commons Cooperative
    issuer: {issuer}
    client_id: {client_id}
    client_secret: {secret}
    scopes: [openid, profile]
    # On loopback the issuer is no https address.
    skip_verification: true
    user_profile_method: userinfo_endpoint
    backchannel_logout_enabled: true
    backchannel_logout_ignore_sub: true
    user_mapping_provider:
      config:
        localpart_template: "{{{{ user.preferred_username }}}}"
        display_name_template: "{{{{ user.name }}}}"
    attribute_requirements:
      - attribute: groups
        value: coop-members
"""


@dataclass
class Homeserver:
    """A homeserver, and somebody who signs in to it with a Matrix client."""

    origin: str
    log: Path
    person: Person

    async def arrive(self) -> httpx.Response:
        """Sign in by the browser, as far as it goes."""
        return await self.person.open(
            f"{self.origin}/_matrix/client/v3/login/sso/redirect/oidc-coop?redirectUrl=http://element.example/"
        )

    async def sign_in(self) -> str:
        """Sign in and return the access token that the Matrix client keeps."""
        page = await self.arrive()
        assert page.status_code == httpx.codes.OK, page.text
        # Synapse asks whether the client may go on; its link carries the login token.
        link = re.search(r'href="(http://element\.example/[^"]*)"', page.text)
        assert link is not None, page.text
        token = parse_qs(urlsplit(html.unescape(link[1])).query)["loginToken"][0]
        answer = await self.person.browser.post(
            f"{self.origin}/_matrix/client/v3/login", json={"type": "m.login.token", "token": token}
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["access_token"])

    async def whoami(self, access_token: str) -> httpx.Response:
        """Ask the homeserver whose token that is."""
        return await self.person.browser.get(
            f"{self.origin}/_matrix/client/v3/account/whoami",
            headers={"Authorization": f"Bearer {access_token}"},
        )


@pytest.fixture
async def matrix(service: Service, ada: Person) -> AsyncIterator[Homeserver]:
    """Register a network and start its homeserver."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    async with service.units.open() as work:
        network = await networks.register(work, kind="synapse", name="Lantern", origin=origin)
        client, secret = await clients.register(
            work,
            name=network.name,
            network_id=network.id,
            redirect_uris=[f"{origin}/_synapse/client/oidc/callback"],
        )
    configuration = CONFIGURATION.format(issuer=service.issuer, client_id=client.client_id, secret=secret)
    async with homeserver.running(port, configuration) as log:
        yield Homeserver(origin, log, ada)


async def test_only_members_sign_in(matrix: Homeserver) -> None:
    refused = await matrix.arrive()
    assert "You are not allowed to log in here." in refused.text
    assert "loginToken" not in refused.text

    await matrix.person.become_member()
    told = (await matrix.whoami(await matrix.sign_in())).json()

    assert re.fullmatch(r"@[a-z]+_[a-z]+[0-9]+:lantern\.example", told["user_id"])


async def test_a_lapsed_member_does_not_sign_in_again(matrix: Homeserver) -> None:
    await matrix.person.become_member()
    await matrix.sign_in()
    await matrix.person.stop_being_member()

    refused = await matrix.arrive()

    assert "You are not allowed to log in here." in refused.text
    assert "loginToken" not in refused.text
