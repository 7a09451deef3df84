"""The pages about signing in, examined by axe-core in the states that people meet them in."""

import re

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, expect

from coop.identity import links
from coop.unit_of_work import Units
from tests import people
from tests.browser.test_accessibility import engine_name, faults, origin

__all__ = ["engine_name", "origin"]


@pytest.mark.parametrize("path", ["/recover", "/recover/code"])
async def test_the_way_back_in_has_no_fault_that_axe_can_find(tab: Page, origin: str, path: str) -> None:
    await tab.goto(origin + path)
    assert await faults(tab) == []

    await tab.click("button.main")

    await expect(tab).to_have_title(re.compile("^Error:"))
    assert await faults(tab) == []


async def test_the_security_pages_have_no_fault_that_axe_can_find(
    context: BrowserContext,
    origin: str,
    units: Units,
) -> None:
    account = await people.register(units, "ada", email="ada@example.org")
    async with httpx.AsyncClient() as client:
        await people.signed_in(client, units, account)
        cookies = [{"name": name, "value": value, "url": origin} for name, value in client.cookies.items()]
    async with units.open() as work:
        token = await links.make(work, "verify", account.id, "ada@example.org")
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # plain dicts are SetCookieParam
    tab = await context.new_page()
    found = []

    for path in ("", "/password", "/passkey", "/email"):
        await tab.goto(f"{origin}/account/security{path}")
        found += [f"{path} {fault}" for fault in await faults(tab)]
    await tab.goto(f"{origin}/verify-email?token={token}")
    found += await faults(tab)
    await tab.goto(f"{origin}/account/security")
    await tab.get_by_role("button", name="Make ten recovery codes").click()
    await expect(tab.locator("ol code")).to_have_count(10)
    found += await faults(tab)

    assert not found, "\n".join(found)
