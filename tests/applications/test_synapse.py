"""Synapse as PyPI has it, configured by our recipe: a Matrix homeserver whose accounts are the cooperative's members."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from coop.authorization.onboarding import onboard
from tests.applications import homeserver
from tests.applications.conftest import LONGEST_LAPSE, Stopwatch
from tests.applications.person import Person
from tests.networks.recipes.configurations import blocks
from tests.postgres import free_port
from tests.service import Service

pytestmark = pytest.mark.applications


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
        made = await onboard(work, kind="synapse", name="Lantern", origin=origin)
    (pasted,) = blocks(made.configuration, "yaml")
    # The one thing that is no recipe's: on loopback the issuer has no https, and Synapse would insist on it.
    configuration = pasted.replace("    issuer:", "    skip_verification: true\n    issuer:")
    async with homeserver.running(port, configuration) as log:
        yield Homeserver(origin, log, ada)


async def test_only_members_sign_in(matrix: Homeserver) -> None:
    refused = await matrix.arrive()
    assert "You are not allowed to log in here." in refused.text
    assert "loginToken" not in refused.text

    await matrix.person.become_member()
    told = (await matrix.whoami(await matrix.sign_in())).json()

    assert re.fullmatch(r"@[a-z]+_[a-z]+[0-9]+:lantern\.example", told["user_id"])


async def test_a_lapsed_member_is_signed_out_within_a_minute_and_does_not_come_back(
    matrix: Homeserver, stopwatch: Stopwatch
) -> None:
    await matrix.person.become_member()
    token = await matrix.sign_in()
    assert (await matrix.whoami(token)).status_code == httpx.codes.OK
    await matrix.person.stop_being_member()

    assert (
        await stopwatch.until(lambda: dead(matrix, token), "a lapsed member was signed out") < LONGEST_LAPSE
    )
    refused = await matrix.arrive()
    assert "You are not allowed to log in here." in refused.text
    assert "loginToken" not in refused.text


async def test_a_sign_out_at_the_cooperative_reaches_the_homeserver(
    matrix: Homeserver, stopwatch: Stopwatch
) -> None:
    await matrix.person.become_member()
    token = await matrix.sign_in()
    await matrix.person.sign_out()

    assert await stopwatch.until(lambda: dead(matrix, token), "a sign-out arrived") < LONGEST_LAPSE


async def dead(matrix: Homeserver, access_token: str) -> bool:
    """Tell whether the homeserver forgot the token."""
    return (await matrix.whoami(access_token)).status_code == httpx.codes.UNAUTHORIZED
