"""A real Chromium, for walking through the product as people do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.browser import chromium

SCREENSHOTS = Path(__file__).with_name("screenshots")


@dataclass
class Album:
    """Where pictures are kept: nowhere unless `--pictures` asks for them, since a hundred of them take half a minute."""

    opened: bool = False


ALBUM = Album()


def pytest_configure(config: pytest.Config) -> None:
    """Open the album if the command line asks for pictures."""
    ALBUM.opened = config.getoption("--pictures")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    found = chromium.find()
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=found.path, args=found.arguments, env=found.environment or None
        )
        yield started
        await started.close()


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Give a browser profile of the test's own, with nobody signed in."""
    made = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    made.set_default_timeout(15_000)
    yield made
    await made.close()


@pytest.fixture
async def tab(context: BrowserContext) -> Page:
    return await context.new_page()


async def keep(tab: Page, name: str) -> None:
    """Keep a screenshot of the whole page for people to look at, if any are wanted."""
    if not ALBUM.opened:
        return
    SCREENSHOTS.mkdir(exist_ok=True)
    await tab.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
