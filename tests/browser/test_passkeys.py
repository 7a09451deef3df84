"""Passkeys in a real Chromium, with its own virtual authenticator (WebDriver's WebAuthn extension, over CDP)."""

import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import anyio
import msgspec
import pytest
import uvicorn
from litestar import Litestar
from playwright.async_api import CDPSession, Page, expect

from coop.identity import accounts, passkeys
from coop.settings import Settings
from coop.unit_of_work import Units
from tests import cooperative
from tests.browser.conftest import keep
from tests.people import PASSWORD, register


@pytest.fixture
def engine_name() -> str:
    """Look at pages on SQLite; they are the same on both engines."""
    return "sqlite"


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture
def settings(settings: Settings, listening: socket.socket) -> Settings:
    """Give the issuer a name: browsers offer no passkeys at a bare address."""
    return msgspec.structs.replace(settings, issuer=f"http://localhost:{listening.getsockname()[1]}")


@pytest.fixture
async def origin(app: Litestar, units: Units, listening: socket.socket) -> AsyncIterator[str]:
    await cooperative.found(units)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve, [listening])
        while not server.started:
            await anyio.lowlevel.checkpoint()
        yield units.settings.issuer
        server.should_exit = True


@dataclass
class Authenticator:
    """The virtual authenticator, and the finger of its owner."""

    session: CDPSession
    name: str

    async def verify(self, *, succeeds: bool) -> None:
        """Say whether the owner's finger will be recognised from now on."""
        await self.session.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.name, "isUserVerified": succeeds}
        )


@pytest.fixture
async def authenticator(tab: Page) -> Authenticator:
    """Plug an authenticator in that has a screen lock, and whose owner touches it at once."""
    session = await tab.context.new_cdp_session(tab)
    await session.send("WebAuthn.enable")
    added = await session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return Authenticator(session, added["authenticatorId"])


@pytest.mark.usefixtures("authenticator")
async def test_a_newcomer_joins_and_returns_with_a_touch(tab: Page, origin: str, units: Units) -> None:
    await tab.goto(f"{origin}/sign-up?next=/account/security")
    await tab.fill("#handle", "ada")
    await keep(tab, "sign-up")
    await tab.get_by_role("button", name="passkey").click()
    await tab.wait_for_url("**/join?next=*")
    await tab.goto(f"{origin}/account/security")
    await keep(tab, "security")
    await tab.get_by_role("button", name="Sign out here").click()
    await tab.wait_for_url(lambda url: "/account/security" not in url)

    await tab.goto(f"{origin}/sign-in?next=/account/security")
    await tab.get_by_role("button", name="passkey").click()

    await tab.wait_for_url(f"{origin}/account/security")
    async with units.read() as work:
        account = await accounts.by_handle(work, "ada")
        assert account is not None
        assert account.password_digest is None
        (key,) = await passkeys.of_account(work, account.id)
        assert key.last_used_at is not None


@pytest.mark.usefixtures("authenticator")
async def test_a_member_adds_a_passkey_and_names_it(tab: Page, origin: str, units: Units) -> None:
    await register(units)
    await tab.goto(f"{origin}/sign-in?next=/account/security/passkey")
    await tab.fill("#name", "ada")
    await tab.fill("#password", PASSWORD)
    await tab.get_by_role("button", name="Sign in", exact=True).click()
    await tab.wait_for_url(f"{origin}/account/security/passkey")
    await tab.fill("#name", "My laptop")

    await tab.get_by_role("button", name="Make the passkey").click()

    await tab.wait_for_url(f"{origin}/account/security")
    await expect(tab.get_by_text("My laptop", exact=True)).to_be_visible()


@pytest.mark.usefixtures("authenticator")
async def test_what_stands_in_the_way_is_said_beside_the_button(tab: Page, origin: str, units: Units) -> None:
    await register(units)
    await tab.goto(f"{origin}/sign-up")
    await tab.fill("#handle", "ada")

    await tab.get_by_role("button", name="passkey").click()

    await expect(tab.get_by_role("status")).to_contain_text("is taken")
    assert await tab.input_value("#handle") == "ada"


async def test_without_verification_nothing_happens_and_one_may_try_again(
    tab: Page, origin: str, authenticator: Authenticator
) -> None:
    await authenticator.verify(succeeds=False)
    await tab.goto(f"{origin}/sign-up")
    await tab.fill("#handle", "ada")
    button = tab.get_by_role("button", name="passkey")
    await button.click()
    await expect(tab.get_by_role("status")).to_contain_text("No passkey was used")

    await authenticator.verify(succeeds=True)
    await button.click()

    await tab.wait_for_url("**/join?next=*")
